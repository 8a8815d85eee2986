/** Diagnoses a stack: ranks the probable causes of a problem from health, exits, events, logs and resource use. */
import { leftOutHealth } from "../lifecycle/left-out.js";
import { STANDING } from "../lifecycle/service-state.js";
import { asSentence, missingServices, wellSentence } from "../lifecycle/stack-state.js";
import type { LogLine } from "../logs/types.js";
import type { ServiceHealth, StackEvent } from "../model.js";
import { boundText } from "../text/sanitize-text.js";
import { NOT_IN_STACK } from "../vocabulary.js";
import { newestCrashes } from "./crash-summary.js";
import { isEpilogue, placeOf } from "./error-lines.js";
import { looksWrong } from "./log-symptoms.js";
import { crashesOf, isAnswered, isFailing, serviceCauses } from "./service-rules.js";
import { lastStartFailed, stackCauses } from "./stack-rules.js";
import { staleCauses, staleOf } from "./stale-rule.js";
import { withStoppedDependencies } from "./stopped-dependency.js";
import type { Cause, Confidence, DiagnosedService, DiagnosisReport, Facts, ServiceEvidence } from "./types.js";

const MOST_OTHERS = 5;
const MOST_EVENTS = 20;
const MOST_LINES = 8;
const MOST_EVIDENCE = 5;
/** Maximum bytes of one quoted text. */
const QUOTE = 300;

/** The beginning of a TCP check's name on every runtime. */
const TCP_CHECK = "tcp ";

const CONFIDENCE: Record<Confidence, number> = { certain: 3, likely: 2, possible: 1 };
/** Causes that describe the whole stack; they rank below more specific ones. */
const GENERAL = new Set<Cause["kind"]>(["idle_stop", "start_failed", "starting", "stopped", "never_started"]);

/** Causes of a stack that does not run and has no fault. */
const IDLE = new Set<Cause["kind"]>(["idle_stop", "stopped", "never_started"]);

/**
 * The failing dependency of this service, direct or indirect, that has no failing dependency itself; null when there is
 * none.
 */
function rootOf(facts: Facts, name: string): string | null {
  const visited = new Set<string>([name]);
  const failing = (at: string): string | null => {
    for (const other of facts.services.get(at)?.report.depends_on ?? []) {
      if (visited.has(other)) continue;
      visited.add(other);
      const service = facts.services.get(other);
      const deeper = failing(other);
      if (deeper !== null) return deeper;
      if (service !== undefined && isFailing(service)) return other;
    }
    return null;
  };
  return failing(name);
}

function causesOf(facts: Facts): Cause[] {
  const causes: Cause[] = [];
  for (const [name, service] of facts.services) {
    const root = rootOf(facts, name);
    for (const serviceCause of serviceCauses(facts, service)) {
      // A cause that was observed directly is not attributed to another service.
      const because_of = serviceCause.confidence === "certain" ? null : root;
      causes.push({ service: name, ...serviceCause, because_of });
    }
    const waits = root !== null && ["pending", "starting", "stopped"].includes(service.report.state);
    if (waits && facts.stack.state !== "stopped" && !isFailing(service))
      causes.push({
        kind: "dependency_down",
        service: name,
        confidence: "certain",
        explanation: `${name} cannot start before ${root}, which is failing.`,
        because_of: root,
        evidence: [{ source: "health", service: name, time: null, text: service.health.message }],
        next: {
          do: `Fix ${root} first.`,
          operation: "health_status",
          input: { project: facts.project, wait_for: "healthy" },
        },
      });
  }
  return [...stackCauses(facts), ...withStoppedDependencies(facts, causes)];
}

/** Number of services that depend on this one, directly or indirectly. */
function dependants(facts: Facts, name: string): number {
  const names = new Set<string>([name]);
  for (const at of names)
    for (const { report } of facts.services.values()) if (report.depends_on.includes(at)) names.add(report.service);
  return names.size - 1;
}

/** The newest observation of a cause. */
const newest = ({ evidence }: Cause): number => Math.max(0, ...evidence.map(({ time }) => Date.parse(time ?? "") || 0));

/**
 * Sorts causes by probability: failures before resource shortages, root causes before their consequences. What has
 * recovered comes last, the newest first.
 */
function rank(facts: Facts, causes: readonly Cause[]): Cause[] {
  const score = ({ service, kind, confidence, because_of }: Cause): number => {
    const evidence = service === null ? undefined : facts.services.get(service);
    const failing =
      !GENERAL.has(kind) && (evidence === undefined ? facts.stack.state !== "running" : isFailing(evidence));
    return (
      (failing ? 1000 : 0) -
      (because_of === null ? 0 : 500) -
      (kind === "recovered" ? 1000 : 0) -
      // An error in a log can have another reason than what was measured.
      (kind === "logged_errors" ? 60 : 0) -
      (kind === "stale_code" ? 110 : 0) +
      CONFIDENCE[confidence] * 100 +
      (service === null ? 0 : Math.min(50, dependants(facts, service)))
    );
  };
  // The sort is stable: equal causes keep the order in which they were found.
  return [...causes].sort((a, b) =>
    a.kind === "recovered" && b.kind === "recovered" ? newest(b) - newest(a) : score(b) - score(a),
  );
}

const quoted = (cause: Cause): Cause => ({
  ...cause,
  evidence: cause.evidence.slice(0, MOST_EVIDENCE).map((one) => ({ ...one, text: boundText(one.text, QUOTE) })),
});

/** Selects log lines as evidence: the last lines of a crashed or requested service, and lines that look like errors. */
function tellingLines(service: ServiceEvidence, requested: boolean): DiagnosedService["lines"] {
  const { report } = service;
  const newest = newestCrashes(service.events);
  const lastCrash = newest.at(-1);
  const crashes = lastCrash === undefined || isAnswered(service, lastCrash) ? [] : newest;
  if (!isFailing(service) && crashes.length === 0 && !requested) return [];
  // Lines of an earlier failure say nothing about this one.
  const oldest = Number(crashes[0]?.data?.generation ?? report.generation);
  const lines = service.lines.filter(({ generation }) => generation >= oldest);
  const last = report.state === "crashed" || requested ? lines.slice(-3) : [];
  const wrong = lines.filter(looksWrong).slice(-(MOST_LINES - last.length));
  const places = wrong.map((line) => placeOf(lines, line));
  const chosen = new Set<LogLine | null>([...wrong, ...places, ...last]);
  return lines
    .filter((line) => chosen.has(line) && !isEpilogue(line))
    .slice(-MOST_LINES)
    .map(({ seq, time, stream, generation, text }) => ({
      seq,
      time,
      stream,
      generation,
      text: boundText(text, QUOTE),
    }));
}

/** What was observed of these services, as sentences. */
function observed(services: readonly ServiceHealth[]): string {
  const [only] = services;
  const down = missingServices(services);
  if (down.length > 0) return `${down.map(({ service, state }) => `${service} is ${state}`).join(", ")}.`;
  if (only === undefined || services.length > 1) return asSentence(wellSentence(services));
  return `${only.service} is ${only.status}${only.status === "running" ? "; nothing checks it" : ""}.`;
}

/** Names the services whose health rests on a connection only, so that `healthy` is not read as more. */
function untested(services: readonly ServiceHealth[]): string {
  const connected = services.filter(({ healthy, check }) => healthy === true && check?.startsWith(TCP_CHECK));
  if (connected.length === 0) return "";
  const several = connected.length > 1;
  return ` ${listed(connected.map(({ service }) => service))} ${several ? "are" : "is"} checked only by a TCP connection: whether ${several ? "their" : "its"} requests succeed was not tested.`;
}

const listed = (names: readonly string[]): string =>
  names.length < 2 ? names.join() : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;

/**
 * Names the services that run older code than their files: an edit that is not in effect looks like one without effect.
 */
function outdated(facts: Facts, shown: readonly string[]): string {
  const stale = [...facts.services.values()].flatMap((service) => {
    const fix = staleOf(facts, service)?.fix;
    return fix !== undefined && shown.includes(service.report.service)
      ? [{ service: service.report.service, fix }]
      : [];
  });
  if (stale.length === 0) return "";
  const several = stale.length > 1;
  const fixes = [...new Set(stale.map(({ fix }) => fix))].join(" or ");
  return ` ${listed(stale.map(({ service }) => service))} ${several ? "run" : "runs"} code or settings from before ${several ? "their" : "its"} files were edited; ${fixes} applies the change.`;
}

/** @param shown names of the services that the report covers */
function summary(facts: Facts, cause: Cause | null, shown: readonly string[]): string {
  const services = Object.values(facts.health.services).filter(({ service }) => shown.includes(service));
  const absent = facts.leftOut.filter((name) => shown.includes(name));
  const out = absent.length === 0 ? "" : ` ${asSentence(`${NOT_IN_STACK}: ${absent.join(", ")}`)}`;
  if (cause === null && services.length === 0 && out !== "") return `No fault is visible.${out}`;
  if (cause === null)
    return `No fault is visible. ${observed(services)}${untested(services)}${outdated(facts, shown)}${out}`;
  if (facts.health.overall_healthy) return `${observed(services)} Possible problem: ${cause.explanation}`;
  return cause.explanation;
}

/** The services whose causes explain the state of this one. */
function explainingServices(facts: Facts, name: string, causes: readonly Cause[]): Set<string> {
  const service = facts.services.get(name);
  const reasons = causes.flatMap(({ service: of, because_of }) => (of === name ? [because_of] : []));
  // A service that is down because another one made the start fail.
  const isDown = service !== undefined && STANDING[service.report.state] !== "up";
  const culprit = isDown && !isFailing(service) ? lastStartFailed(facts.events)?.data?.service : null;
  const names = [rootOf(facts, name), ...reasons, culprit];
  return new Set(names.filter((one) => typeof one === "string"));
}

/** @param only the requested service; causes of other services are included only when they explain its state */
export function diagnose(facts: Facts, only?: string): DiagnosisReport {
  const all = causesOf(facts);
  const explaining = only === undefined ? new Set<string>() : explainingServices(facts, only, all);
  const concerned = ({ service }: Cause): boolean =>
    only === undefined || service === null || service === only || explaining.has(service);
  const problems = all.filter(concerned);
  // Stale code alone is not a problem: agents edit first and restart later.
  const stale = problems.length > 0 || only !== undefined ? staleCauses(facts).filter(concerned) : [];
  const [cause = null, ...further] = rank(facts, [...problems, ...stale]).map(quoted);
  // Other causes are irrelevant for a stack that was stopped.
  const idle = cause !== null && IDLE.has(cause.kind);
  const others = idle ? [] : further;
  const services: DiagnosisReport["services"] = Object.create(null);
  for (const [name, service] of facts.services) {
    if (only !== undefined && name !== only && !explaining.has(name)) continue;
    const { report, health, stats } = service;
    services[name] = {
      state: report.state,
      healthy: health.healthy,
      message: health.message,
      restarts: report.restarts,
      crashes: crashesOf(service).length,
      last_exit: report.last_exit,
      depends_on: report.depends_on,
      pressure: stats?.pressure ?? [],
      lines: idle && only === undefined ? [] : tellingLines(service, name === only),
    };
  }
  for (const name of facts.leftOut)
    if (only === undefined || only === name || explaining.has(name))
      services[name] = {
        state: "stopped",
        healthy: false,
        message: leftOutHealth(name).message,
        restarts: 0,
        crashes: 0,
        last_exit: null,
        depends_on: [],
        pressure: [],
        lines: [],
      };
  const isRelevant = (event: StackEvent): boolean =>
    only === undefined || event.service === null || Object.hasOwn(services, event.service);
  const events = facts.events.filter(isRelevant);
  return {
    project: facts.project,
    state: facts.stack.state,
    overall_healthy: facts.health.overall_healthy,
    timestamp: new Date(facts.nowMs).toISOString(),
    since: new Date(facts.sinceMs).toISOString(),
    summary: summary(facts, cause, Object.keys(services)),
    cause,
    others: others.slice(0, MOST_OTHERS),
    services,
    recent_events: events.slice(-MOST_EVENTS),
    omitted: {
      causes: Math.max(0, others.length - MOST_OTHERS),
      events: Math.max(0, events.length - MOST_EVENTS),
    },
  };
}
