/** Causes that concern the whole stack: it is not running, its compose file is unusable, or its runtime died. */

import type { ErrorCode } from "../../errors.js";
import { missingServices } from "../lifecycle/stack-state.js";
import type { StackEvent } from "../model.js";
import { SERVER_ACTOR } from "../storage/events.js";
import { eventEvidence } from "./event-evidence.js";
import type { Cause, CauseKind, Evidence, Facts, NextStep } from "./types.js";

/** An error of pip, uv, npm, pnpm or yarn; not the note on where npm keeps its log. */
const INSTALLER_ERROR = /^\s*(?:error\b|npm (?:ERR!|error) (?!A complete log)|.{0,20}ERR_PNPM|×)/i;
const MOST_INSTALLER_LINES = 4;

const KINDS: Partial<Record<ErrorCode, CauseKind>> = {
  INVALID_STACK: "definition_invalid",
  POLICY_VIOLATION: "definition_invalid",
  PORT_IN_USE: "port_taken",
  DEPENDENCY_INSTALL_FAILED: "install_failed",
  RUNTIME_LOST: "runtime_lost",
};

/** Event types that end a start or a run of the stack. */
const ENDS = new Set<StackEvent["type"]>(["stack_started", "stack_start_failed", "stack_stopped", "stack_lost"]);

const lastEnd = (events: readonly StackEvent[]): StackEvent | undefined =>
  events.filter(({ type }) => ENDS.has(type)).at(-1);

/** The event of a failed start if it is the newest of these events. */
export function lastStartFailed(events: readonly StackEvent[]): StackEvent | undefined {
  const last = lastEnd(events);
  return last?.type === "stack_start_failed" ? last : undefined;
}

/** The number of the event after which the newest start, which may have ended, began; 0 for the first. */
export function startedAfter(events: readonly StackEvent[]): number {
  return (
    lastEnd(
      events.slice(
        0,
        events.findLastIndex(({ type }) => ENDS.has(type)),
      ),
    )?.seq ?? 0
  );
}

const start = (facts: Facts, text: string): NextStep => ({
  do: text,
  operation: "start_stack",
  input: { project: facts.project },
});

export function stackCauses(facts: Facts): Cause[] {
  const { stack, health, definition } = facts;
  const causes: Cause[] = [];
  const whole = (cause: Omit<Cause, "because_of" | "service"> & { service?: string | null }): void => {
    causes.push({ service: null, because_of: null, ...cause });
  };
  if (definition !== null)
    whole({
      kind: "definition_invalid",
      confidence: stack.state === "running" || stack.state === "degraded" ? "possible" : "certain",
      explanation:
        stack.state === "running" || stack.state === "degraded"
          ? "The compose file as it is now cannot be used; the stack runs with an earlier one."
          : "The compose file cannot be used, so the stack cannot start.",
      evidence: [{ source: "event", service: null, time: null, text: `${definition.code}: ${definition.message}` }],
      next: start(facts, "Correct the compose file at the place named in the evidence, then start the stack."),
    });
  const last = lastEnd(facts.events);
  if (stack.state === "lost")
    whole({
      kind: "runtime_lost",
      confidence: "certain",
      explanation: "The runtime died, and every service of the stack with it.",
      evidence: [
        last === undefined
          ? { source: "event", service: null, time: null, text: "The stack is lost." }
          : eventEvidence(last),
      ],
      next: start(facts, "Start the stack again, then check its data."),
    });
  else if (last?.type === "stack_start_failed" && stack.state !== "starting" && definition === null)
    whole(startFailed(facts, last));
  else if (stack.state === "stopped" && definition === null) whole(stopped(facts, last));
  else if (stack.state === "starting") {
    const waiting = missingServices(Object.values(health.services));
    whole({
      kind: "starting",
      confidence: "possible",
      explanation: `The stack is still starting; not up yet: ${waiting.map((one) => one.service).join(", ") || "nothing known"}.`,
      evidence: waiting.map(({ service, reason }) => ({ source: "health", service, time: null, text: reason })),
      next: {
        do: "Wait until the start has ended.",
        operation: "health_status",
        input: { project: facts.project, wait_for: "healthy" },
      },
    });
  }
  return causes;
}

function startFailed(facts: Facts, event: StackEvent): Omit<Cause, "because_of"> {
  const { code, service } = (event.data ?? {}) as { code?: ErrorCode; service?: string };
  const failure = failedStart(event);
  const kind = (code === undefined ? undefined : KINDS[code]) ?? "start_failed";
  const explanations: Partial<Record<CauseKind, string>> = {
    definition_invalid: "The last start failed: the compose file could not be used.",
    port_taken: "The last start failed: a port that the stack publishes is used by another process.",
    install_failed: `The last start failed while ${service === undefined ? "a service's dependencies" : `the dependencies of ${service}`} were installed; ${failure}.`,
  };
  const steps: Partial<Record<CauseKind, string>> = {
    definition_invalid: "Correct the compose file, then start the stack.",
    port_taken:
      "Start the stack on free ports, which this call chooses. Or free the port named in the evidence, or write another one in `ports` of the compose file, then start the stack.",
    install_failed:
      "Correct the service's manifest; get_logs with stream \"install\" has the installer's output. Then start the stack.",
  };
  return {
    kind,
    service: service ?? null,
    confidence: kind === "start_failed" ? "likely" : "certain",
    explanation: explanations[kind] ?? `The last start failed; ${failure}.`,
    evidence: [eventEvidence(event), ...(kind === "install_failed" ? installerErrors(facts) : [])],
    next: {
      do: steps[kind] ?? "Correct what the evidence names, then start the stack.",
      operation: "start_stack",
      // The same start would meet the same port.
      input: { project: facts.project, ...(kind === "port_taken" ? { ports: "auto" } : {}) },
    },
  };
}

/** The first lines with which an installer reports an error. */
const installerErrors = ({ installer }: Facts): Evidence[] =>
  installer
    .filter(({ text }) => INSTALLER_ERROR.test(text))
    .slice(0, MOST_INSTALLER_LINES)
    .map(({ text, time, service }) => ({ source: "log", service, time, text: text.trim() }));

/** What a failed start left, as a part of a sentence. */
function failedStart({ data = {} }: StackEvent): string {
  const { changed, rolled_back: again, down } = data as { changed?: boolean; rolled_back?: string[]; down?: string[] };
  if (changed === false) return "no service was started";
  if (again === undefined || down === undefined) return "the services that it had started were stopped";
  if (down.length > 0) return `${down.join(", ")} ran before it and did not come up again`;
  return again.length > 0
    ? `the services that it had replaced (${again.join(", ")}) run as before`
    : "the services that ran before keep running";
}

function stopped(facts: Facts, last: StackEvent | undefined): Omit<Cause, "because_of" | "service"> {
  if (last === undefined && facts.events.length === 0)
    return {
      kind: "never_started",
      confidence: "certain",
      explanation: "The stack is not running, and was not started in the examined period.",
      evidence: [],
      next: start(facts, "Start it if it should run."),
    };
  const next = start(facts, "Start it if it should run.");
  if (last?.type !== "stack_stopped")
    // A server that was killed could not write a final event.
    return {
      kind: "stopped",
      confidence: "likely",
      explanation: "The stack is not running, and no stop is recorded: the server that ran it has ended.",
      evidence: [
        last === undefined
          ? { source: "event", service: null, time: null, text: "No stop is recorded." }
          : eventEvidence(last),
      ],
      next,
    };
  const at = `at ${last.time.slice(0, 19)}Z`;
  const idle = idleStop(facts.events, last);
  if (idle !== undefined)
    return {
      kind: "idle_stop",
      confidence: "certain",
      explanation: `The stack is not running: stackwarden stopped it ${at}, because no call used it within its idle_stop time.`,
      evidence: [eventEvidence(idle)],
      next,
    };
  const { actor } = last;
  const by = actor.startsWith(SERVER_ACTOR) ? "the server that ran it stopped it when it ended" : "a client stopped it";
  return {
    kind: "stopped",
    confidence: "certain",
    explanation: `The stack is not running: ${by}, ${at}.`,
    evidence: [{ ...eventEvidence(last), text: `${last.message} (by ${actor})` }],
    next,
  };
}

/** The warning of the idle stop with which the stack ended. */
function idleStop(events: readonly StackEvent[], end: StackEvent): StackEvent | undefined {
  if (end.actor !== SERVER_ACTOR) return undefined;
  const run = events.slice(events.findLastIndex(({ type }) => type === "stack_starting") + 1);
  return run.findLast(({ type, data }) => type === "warning" && data?.idle_ms !== undefined);
}
