/**
 * Rules that derive the causes of one service's problems from its state, exit, health checks, log lines and resource
 * use.
 */

import type { LogLine } from "../logs/types.js";
import type { ExitReport, StackEvent } from "../model.js";
import { crashSummary, newestCrashes } from "./crash-summary.js";
import { isEpilogue, placeOf, reportsError } from "./error-lines.js";
import { eventEvidence } from "./event-evidence.js";
import { findSymptom, type LogSymptom } from "./log-symptoms.js";
import { presentEvents, presentFailure } from "./present-events.js";
import { inContext } from "./symptom-context.js";
import type { Cause, Evidence, Facts, NextStep, ServiceEvidence } from "./types.js";
import { UpRules } from "./up-rules.js";

type ServiceCause = Omit<Cause, "service" | "because_of">;

/** Suggested memory limits are multiples of this number of MB. */
const MEMORY_STEP_MB = 64;
/** Message of a check that timed out. */
const NO_ANSWER = /^no answer within/;
/** Text that the local runtime adds to a refused connection. */
const LISTENS_ELSEWHERE = /; it listens on /;
/** What programs print that a check command runs when a connection is refused. */
const NOT_CONNECTED = /connection refused|ECONNREFUSED|failed to connect|couldn't connect/i;
/** The address of the service itself in a check command. */
const OWN_ADDRESS = /(?:127\.0\.0\.1|localhost|\[::1\]|0\.0\.0\.0)[: ](\d{1,5})\b/;
const HTTP_ANSWER = /\bHTTP(?:\/[\d.]{1,3})?[^\d]{0,20}\d{3}\b|returned error: \d{3}\b/i;
/** What servers print about the address on which they listen. */
const LISTENING = /\blisten(?:s|ing)?\b.{0,80}\b\d{2,5}\b|\b(?:running|serving)\b.{0,20} (?:on|at) .{0,60}\b\d{2,5}\b/i;
const PROGRAM_MISSING = /lacks the program that its health check runs|^The program "[^"]{1,200}" was not found/;
const VOLUME_MISMATCH = /the volume was initialised with /;
/** How long an OOM kill that a client answered is still reported, and the share of a limit from which it is after that. */
const RECENT_KILL_MS = 10 * 60_000;
const HIGH_MEMORY = 0.75;
/** Minimum number of crashes that count as a crash loop. */
const LOOP = 3;
const FAILING = new Set(["crashed", "unhealthy", "lost"]);

export const isFailing = ({ report, health, failedStart }: ServiceEvidence): boolean =>
  failedStart || FAILING.has(report.state) || (report.state === "starting" && health.consecutive_failures > 0);

const megabytes = (value: number): number => Number(value.toFixed(1));

const ofType = (events: readonly StackEvent[], ...types: StackEvent["type"][]): StackEvent[] =>
  events.filter(({ type }) => types.includes(type));

const CHANGES = new Set<StackEvent["type"]>([
  "limits_changed",
  "service_restarted",
  "service_replaced",
  "service_started",
]);
/** A client changed the service; the restart policy acts as `stackwarden`. */
const isChange = ({ type, actor }: StackEvent): boolean => CHANGES.has(type) && actor !== "stackwarden";

/** A client changed or started the service since its last crash. */
export const isAnswered = ({ events }: ServiceEvidence, last: StackEvent): boolean =>
  (presentEvents(events)[0]?.seq ?? 0) > last.seq || events.some((event) => event.seq > last.seq && isChange(event));

export const crashesOf = ({ events }: ServiceEvidence): StackEvent[] => ofType(events, "service_crashed");

class ServiceRules {
  readonly #name: string;
  readonly #crashes: StackEvent[];
  /** Events since the last start by a client. */
  readonly #present: readonly StackEvent[];

  constructor(
    private readonly facts: Facts,
    private readonly service: ServiceEvidence,
  ) {
    this.#name = service.report.service;
    this.#crashes = newestCrashes(service.events);
    this.#present = presentEvents(service.events);
  }

  find(): ServiceCause[] {
    const { report, failedStart } = this.service;
    const causes: (ServiceCause | null)[] = [];
    // A service that was stopped because its checks failed did not crash, however its program ended.
    if (report.state === "crashed" || (failedStart && this.#lastFailure?.type === "service_crashed"))
      causes.push(this.#outOfMemory() ?? this.#crash());
    // Without an instance, such as after a failed installation, only the start's error says what failed.
    else if (isFailing(this.service) && (!failedStart || this.#ran)) causes.push(...this.#unhealthy());
    else if (this.#crashes.length > 0 && report.state !== "stopped") causes.push(this.#recovered());
    causes.push(...new UpRules(this.facts, this.service).find());
    causes.push(...this.#pressure());
    return causes.filter((one) => one !== null);
  }

  /** The newest crash or failed health check since the last start by a client. */
  get #lastFailure(): StackEvent | undefined {
    return presentFailure(this.service.events);
  }

  /** An instance ran since the last start by a client. */
  get #ran(): boolean {
    return ofType(this.#present, "service_started", "service_crashed", "service_unhealthy").length > 0;
  }

  /**
   * How the last instance ended. For an instance of an earlier server, the exit comes from its crash event. Returns
   * null when that event belongs to an earlier generation.
   */
  get #exit(): ExitReport | null {
    const { report } = this.service;
    const crash = this.#crashes.at(-1);
    if (report.last_exit !== null || crash === undefined) return report.last_exit;
    if (report.generation > 0 && Number(crash.data?.generation) < report.generation) return null;
    const { exit_code = null, signal = null, oom_killed = false } = (crash.data ?? {}) as Partial<ExitReport>;
    return { exit_code, signal, oom_killed, at: crash.time };
  }

  /** The next step that restarts the service. In a stopped stack, a start is needed instead. */
  #restart(text: string): NextStep {
    if (this.facts.stack.state === "stopped")
      return {
        do: text.replace(/\brestart (?:the service|it)\b/g, "start the stack"),
        operation: "start_stack",
        input: { project: this.facts.project },
      };
    return { do: text, operation: "restart_service", input: this.#input };
  }

  get #input(): { project: string; service: string } {
    return { project: this.facts.project, service: this.#name };
  }

  #evidence(source: Evidence["source"], text: string, time: string | null = null): Evidence {
    return { source, service: this.#name, time, text };
  }

  /** A log line, and the line that names the place in the code. */
  #logEvidence(lines: readonly LogLine[], error: LogLine): Evidence[] {
    const place = placeOf(lines, error);
    return [error, ...(place === null ? [] : [place])].map((line) =>
      this.#evidence("log", line.text.trim(), line.time),
    );
  }

  /** The step that fixes what a log line shows. */
  #fix({ do: text, inDefinition }: LogSymptom): NextStep {
    return inDefinition === true
      ? { do: text, operation: "start_stack", input: { project: this.facts.project } }
      : this.#restart(text);
  }

  /** Additional evidence of the present run: restarts that were given up, and a summary of crashes. */
  get #history(): Evidence[] {
    const [last] = ofType(this.#present, "restart_given_up", "restart_scheduled", "service_starting").slice(-1);
    const givenUp = last?.type === "restart_given_up" ? [eventEvidence(last)] : [];
    const summary = crashSummary(this.#presentCrashes);
    return summary === null ? givenUp : [...givenUp, this.#evidence("event", summary)];
  }

  /** Additional evidence for a service that lacks a resource: also the last change of its limits. */
  get #limitHistory(): Evidence[] {
    return [...ofType(this.service.events, "limits_changed").slice(-1).map(eventEvidence), ...this.#history];
  }

  get #presentCrashes(): StackEvent[] {
    const since = this.#present[0]?.seq ?? 0;
    return this.#crashes.filter(({ seq }) => seq >= since);
  }

  #outOfMemory(): ServiceCause | null {
    const exit = this.#exit;
    if (exit?.oom_killed !== true) return null;
    return {
      kind: "memory_limit",
      confidence: "certain",
      explanation: `The kernel killed ${this.#name} because it used more memory than its limit.${this.#again}`,
      evidence: [this.#evidence("exit", "OOM kill", exit.at), ...this.#limitHistory],
      next: this.#moreMemory(),
    };
  }

  /** Sentence about a crash loop, which follows the cause of the last crash. */
  get #again(): string {
    const crashes = this.#presentCrashes;
    const summary = crashes.length >= LOOP ? crashSummary(crashes) : null;
    return summary === null ? "" : ` ${summary}`;
  }

  #moreMemory(): NextStep {
    const { stats, report } = this.service;
    const limit = report.limits?.memory_mb.value ?? stats?.limits?.memory_mb.value ?? this.#lastLimit();
    const most = this.facts.capacityMb ?? Number.POSITIVE_INFINITY;
    const steps = Math.ceil(Math.max((limit ?? 256) * 2, (stats?.stats?.memory_peak_mb ?? 0) * 1.5) / MEMORY_STEP_MB);
    const memory = Math.min(steps * MEMORY_STEP_MB, Math.floor(most));
    return {
      do:
        report.state === "crashed"
          ? "Check its log for what it did before. If it needs the memory, raise the limit, then restart it; if it leaks, correct the code first."
          : "Check its log for what it did before. If it needs the memory, raise the limit; if it leaks, correct the code first.",
      operation: "set_limits",
      input: { ...this.#input, memory_mb: memory },
    };
  }

  /** The last requested limit. An instance that has ended has no limit to read. */
  #lastLimit(): number | null {
    const [changed] = ofType(this.service.events, "limits_changed").slice(-1);
    const requestedMb = changed?.data?.memory_mb;
    return typeof requestedMb === "number" ? requestedMb : null;
  }

  #crash(): ServiceCause {
    const { report, lines } = this.service;
    const exit = this.#exit;
    const generation = this.#crashes.at(-1)?.data?.generation ?? report.generation;
    // Lines of an earlier instance do not explain why the service was not started.
    const own = exit === null ? [] : lines.filter((line) => line.generation === generation);
    const how =
      exit === null
        ? "did not start"
        : exit.signal !== null
          ? `was ended by ${exit.signal}`
          : `ended with exit code ${exit.exit_code ?? "unknown"}`;
    const exitEvidence = exit === null ? [] : [this.#evidence("exit", how, exit.at)];
    const sign = findSymptom(own);
    const reason = this.#crashes.at(-1)?.data?.reason;
    if (sign?.sign.kind === "port_taken" && typeof reason === "string")
      return {
        kind: "port_taken",
        confidence: "certain",
        explanation: `${this.#name} ${how}: ${reason}.${this.#again}`,
        evidence: [this.#evidence("log", sign.line.text, sign.line.time), ...exitEvidence, ...this.#history],
        next: this.#restart(
          "Configure it to listen on the port in PORT of its environment, or stop the program that uses the port; then restart it.",
        ),
      };
    if (sign !== null) {
      const context = inContext(this.facts, this.service, own, sign);
      const memory = sign.sign.kind === "memory_limit" && { next: this.#moreMemory() };
      return {
        kind: sign.sign.kind,
        confidence: "likely",
        explanation: `${this.#name} ${how}. ${context.explanation}${this.#again}`,
        evidence: [...this.#logEvidence(own, sign.line), ...context.evidence, ...exitEvidence, ...this.#history],
        next: context.next ?? this.#fix(sign.sign),
        ...memory,
      };
    }
    const telling = own.findLast(reportsError) ?? own.findLast((line) => !isEpilogue(line)) ?? own.at(-1);
    const logEvidence = telling === undefined ? [] : this.#logEvidence(own, telling);
    const outside = exit?.signal === "SIGKILL" || exit?.signal === "SIGTERM";
    return {
      kind: outside ? "killed_from_outside" : "crashed",
      confidence: outside ? "likely" : "possible",
      explanation:
        `${this.#name} ${how}. ${exit === null ? "" : exitMeaning(exit.exit_code, exit.signal)}${this.#again}`.trim(),
      evidence: [...this.#refusal, ...exitEvidence, ...logEvidence, ...this.#history],
      next: outside
        ? this.#restart(
            "Start it again. When it is killed again, find the process of this machine that sends the signal.",
          )
        : {
            do: "Read what it printed before it ended, correct the cause in its code or configuration, then restart it.",
            operation: "get_logs",
            input: { ...this.#input, tail: 50 },
          },
    };
  }

  /** Evidence for a start that was refused before an instance existed. */
  get #refusal(): Evidence[] {
    const { health } = this.service;
    return this.#exit === null ? [this.#evidence("health", health.message, health.checked_at)] : [];
  }

  #unhealthy(): ServiceCause[] {
    const { health, lines, report } = this.service;
    const failure = this.service.failedStart ? this.#lastFailure : undefined;
    // After the stack was stopped, only the event has the result of the check.
    const message = failure?.message.replace(`${this.#name} is unhealthy: `, "") ?? health.message;
    const check = failure === undefined ? health.check : failure.data?.check;
    const checkEvidence = this.#evidence(
      "health",
      `${check ?? "health check"}: ${message}`,
      failure?.time ?? health.checked_at,
    );
    const causes: ServiceCause[] = [];
    const generation = report.generation > 0 ? report.generation : lines.at(-1)?.generation;
    const own = lines.filter((line) => line.generation === generation);
    const sign = findSymptom(own);
    if (sign !== null) {
      const context = inContext(this.facts, this.service, own, sign);
      causes.push({
        kind: sign.sign.kind,
        confidence: "likely",
        explanation: `${this.#name} ${this.#runs}, but its health check fails. ${context.explanation}`,
        evidence: [...this.#logEvidence(own, sign.line), ...context.evidence, checkEvidence, ...this.#history],
        next: context.next ?? this.#fix(sign.sign),
      });
    }
    // No check had failed when the start ended.
    if (failure === undefined && this.service.failedStart) return causes;
    const cause = this.#byCheck(message, String(check ?? ""));
    const listening = cause.kind === "not_listening" ? own.findLast(({ text }) => LISTENING.test(text)) : undefined;
    const where = listening === undefined ? [] : [this.#evidence("log", listening.text, listening.time)];
    causes.push({ ...cause, evidence: [checkEvidence, ...where, ...this.#history] });
    return causes;
  }

  /** A service whose start failed does not run now. */
  get #runs(): string {
    return this.service.failedStart ? "started" : "runs";
  }

  #byCheck(message: string, check: string): Omit<ServiceCause, "evidence"> {
    const look = { operation: "get_logs", input: { ...this.#input, tail: 50 } };
    if (NO_ANSWER.test(message))
      return {
        kind: "no_answer",
        confidence: "likely",
        explanation: `${this.#name} ${this.#runs}, but does not answer its health check in time: it hangs, is overloaded, or waits for something.`,
        next: this.#restart(
          "Check in its log and its resource usage what it was doing. A restart helps when it hangs, but the cause is in its code.",
        ),
      };
    if (PROGRAM_MISSING.test(message))
      return {
        kind: "check_program_missing",
        confidence: "certain",
        explanation: `The health check of ${this.#name} runs a program that the service does not have. Whether the service works is not known.`,
        next: {
          do: "Give its healthcheck an `x-probe` (http, tcp, postgres or redis), or a command that exists there, then call start_stack.",
          operation: "start_stack",
          input: { project: this.facts.project },
        },
      };
    if (VOLUME_MISMATCH.test(message))
      return {
        kind: "volume_mismatch",
        confidence: "certain",
        explanation: `${this.#name} ${this.#runs}, but its volume was initialised with another user, password or database than the compose file names now.`,
        next: {
          do: "Put the former values back, or change the user or database inside the server (ALTER ROLE, CREATE DATABASE), or delete the volume with stop_stack when its data is not needed.",
          ...look,
        },
      };
    if (/^connection refused/.test(message))
      return {
        kind: "not_listening",
        confidence: LISTENS_ELSEWHERE.test(message) ? "certain" : "likely",
        explanation: LISTENS_ELSEWHERE.test(message)
          ? `${this.#name} ${this.#runs}, but does not listen on the port that is checked; the evidence says where it listens.`
          : `${this.#name} ${this.#runs}, but nothing listens on the port that is checked: it is still starting, or listens elsewhere.`,
        next: {
          do: `See in its log on which port it listens. Expected ${this.#expectedPort}. Correct the code or the compose file, then restart the service, or start the stack when the compose file changed.`,
          ...look,
        },
      };
    if (NOT_CONNECTED.test(message) && OWN_ADDRESS.test(check))
      return {
        kind: "not_listening",
        confidence: "likely",
        explanation: `${this.#name} ${this.#runs}, but does not answer on port ${OWN_ADDRESS.exec(check)?.[1]}, which its health check asks.`,
        next: {
          do: `See in its log on which port it listens${this.service.report.endpoints.length === 0 ? "" : ` (\`ports\` of the compose file has ${this.#expectedPort})`}. Correct the port in \`healthcheck\` of the compose file, then start the stack; or correct the code, then ${this.facts.stack.state === "stopped" ? "start the stack" : "restart the service"}.`,
          ...look,
        },
      };
    // The exit code of a command does not say that the service answered.
    const answers = !message.startsWith("exit code") || HTTP_ANSWER.test(message);
    return {
      kind: "check_failed",
      confidence: "possible",
      explanation: answers
        ? `${this.#name} ${this.#runs} and answers, but its health check refuses the answer.`
        : `${this.#name} ${this.#runs}, but the command of its health check fails.`,
      next: {
        do: "Compare the check and its result in the evidence with what the service offers. Correct `healthcheck` in the compose file and start the stack, or correct the code; the service's log says why it answered so.",
        ...look,
      },
    };
  }

  /** The ports on which the service should listen. */
  get #expectedPort(): string {
    const ports = this.service.report.endpoints.map(({ container_port: port }) => port);
    return ports.length === 0 ? "the port that its check asks" : `port ${[...new Set(ports)].join(" or ")}`;
  }

  #recovered(): ServiceCause | null {
    const last = this.#crashes.at(-1);
    // A change of limits, a restart or a start since then is a client's answer to the crash.
    if (last === undefined) return null;
    if (isAnswered(this.service, last)) return last.data?.oom_killed === true ? this.#answeredKill(last) : null;
    const { report } = this.service;
    const comes = report.state === "pending" || report.state === "starting";
    const often = this.#crashes.length === 1 ? "once" : `${this.#crashes.length} times`;
    const oom = last.data?.oom_killed === true;
    return {
      kind: oom ? "memory_limit" : comes ? "crashed" : "recovered",
      confidence: oom ? "certain" : "possible",
      explanation: oom
        ? `${this.#name} ${comes ? `is ${report.state} again` : "runs again"}, but the kernel killed an earlier instance because it used more memory than its limit.${this.#again}`
        : comes
          ? `${this.#name} crashed ${often} and is ${report.state} again; it is not up yet.${this.#again}`
          : `${this.#name} ${report.state === "completed" ? "has completed" : "runs again"}, but crashed ${often} before.${this.#again}`,
      evidence: [eventEvidence(last), ...this.#crashOutput(last), ...(oom ? this.#limitHistory : this.#history)],
      next: oom
        ? this.#moreMemory()
        : {
            do: "Read the output of the previous instance and correct the cause of the crash.",
            operation: "get_logs",
            input: { ...this.#input, previous: true, tail: 50 },
          },
    };
  }

  /** What the instance that crashed printed about it. */
  #crashOutput({ data }: StackEvent): Evidence[] {
    const own = this.service.lines.filter(({ generation }) => generation === data?.generation);
    const error = findSymptom(own)?.line ?? own.findLast(reportsError);
    return error === undefined ? [] : this.#logEvidence(own, error);
  }

  /** An OOM kill that a client answered, for example with a larger limit: a leak reaches that one too. */
  #answeredKill(kill: StackEvent): ServiceCause | null {
    const { stats } = this.service;
    const used = stats?.stats?.memory_mb ?? null;
    const limit = stats?.limits?.memory_mb.value ?? null;
    const high = used !== null && limit !== null && used > limit * HIGH_MEMORY;
    if (this.facts.nowMs - Date.parse(kill.time) > RECENT_KILL_MS && !high) return null;
    const now =
      used === null
        ? []
        : [
            this.#evidence(
              "stats",
              `memory now: ${megabytes(used)} of ${limit === null ? "unlimited" : megabytes(limit)} MB`,
            ),
          ];
    return {
      kind: "memory_limit",
      confidence: "possible",
      explanation: `${this.#name} is ${this.service.report.state}. The kernel killed an earlier instance at its memory limit at ${kill.time.slice(0, 19)}Z; its limit or instance was changed since. Whether its memory still grows is not known.`,
      evidence: [
        eventEvidence(kill),
        ...ofType(this.service.events, "limits_changed").slice(-1).map(eventEvidence),
        ...now,
      ],
      next: {
        do: "Check in its history whether its memory grows towards the limit. If it leaks, correct the code, then restart the service.",
        operation: "get_stats",
        input: { project: this.facts.project, history: true },
      },
    };
  }

  #pressure(): ServiceCause[] {
    const { stats } = this.service;
    if (stats === null) return [];
    return stats.pressure.flatMap((text): ServiceCause[] => {
      const [what = ""] = text.split(":");
      const evidence = [this.#evidence("stats", text, null), ...this.#limitHistory];
      const { limits } = stats;
      if (what === "memory")
        return [
          {
            kind: "memory_limit",
            confidence: "possible",
            explanation: text.includes("were killed")
              ? `The kernel killed a process of ${this.#name} at its memory limit; the service runs.`
              : `${this.#name} is close to its memory limit.`,
            evidence,
            next: this.#moreMemory(),
          },
        ];
      if (what === "cpu") {
        const cpus = limits?.cpus.value ?? null;
        return [
          {
            kind: "cpu_limit",
            confidence: NO_ANSWER.test(this.service.health.message) ? "likely" : "possible",
            explanation: `${this.#name} needs more CPU than its limit allows, so it responds slowly.`,
            evidence,
            next: {
              do: "Check whether this work is intended; then raise the limit.",
              operation: cpus === null ? "get_stats" : "set_limits",
              input: cpus === null ? { project: this.facts.project } : { ...this.#input, cpus: cpus * 2 },
            },
          },
        ];
      }
      const pids = limits?.pids.value ?? null;
      return [
        {
          kind: "pids_limit",
          confidence: "possible",
          explanation: `${this.#name} has nearly as many processes and threads as its limit allows.`,
          evidence,
          next: {
            do: "Check whether it keeps starting processes or threads. If it does not, raise the limit.",
            operation: "set_limits",
            input: { ...this.#input, ...(pids === null ? {} : { pids: pids * 2 }) },
          },
        },
      ];
    });
  }
}

/**
 * Signals of native crashes with their numbers. An init process reports a child's signal as exit code 128 plus its
 * number.
 */
const NATIVE_CRASHES = [
  ["SIGILL", 4],
  ["SIGABRT", 6],
  ["SIGBUS", 7],
  ["SIGSEGV", 11],
] as const;

/** The conventional meaning of an exit code or signal. */
function exitMeaning(code: number | null, signal: string | null): string {
  if (signal === "SIGKILL" || signal === "SIGTERM") return "Stackwarden did not send it.";
  if (NATIVE_CRASHES.some(([name, number]) => signal === name || code === 128 + number))
    return "That is a crash in native code.";
  if (code === 0) return "It ended as if its work were done, but a service should keep running.";
  if (code === 126) return "That means that its command cannot be executed.";
  if (code === 127) return "That means that its command was not found.";
  return "Its last lines say more.";
}

/** The causes of this service's problems, without regard to other services. */
export const serviceCauses = (facts: Facts, service: ServiceEvidence): ServiceCause[] =>
  new ServiceRules(facts, service).find();
