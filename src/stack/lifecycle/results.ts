/** What a change answers: how far it came, in words, with the states observed before and after. */
import type { RestartOutcome, ServiceHealth, ServiceReport, StackReport, StartOutcome, StopOutcome } from "../model.js";
import type { Reached } from "./supervisor.js";

const say = (names: readonly string[]): string => (names.length === 0 ? "none" : names.join(", "));

interface Observed<T> {
  project: string;
  before: T;
  after: T;
  /** Epoch milliseconds at which the call came. */
  begun: number;
}

const nextCall = (operation: string, input: Record<string, unknown>) => ({ operation, input });

const REACHED = {
  started: ["healthy", "The stack is running; every service is healthy."],
  unchanged: ["already_running", "The stack runs already; nothing had to change."],
  reconciled: ["reconciled", "The running stack was brought in line with its definition."],
} as const;

/** @param outcome `reached` is null when the caller's time ran out and the start goes on */
export function startOutcome(
  outcome: Observed<StackReport> & { reached: Reached | null; missing: StartOutcome["missing"] },
): StartOutcome {
  const { project, reached, missing, before, after, begun } = outcome;
  const well = missing.length === 0 && reached !== null;
  const waiting = `Not healthy yet: ${say(missing.map((one) => one.service))}.`;
  const [status, message] = reached === null ? (["starting", "The stack is starting."] as const) : REACHED[reached];
  const logs = nextCall("get_logs", { project, service: missing[0]?.service ?? "" });
  const health = nextCall("health_status", { project, wait_for: "healthy" });
  return {
    status,
    message: well ? message : `${message} ${waiting}`,
    missing,
    next: well ? null : reached === null ? health : logs,
    before,
    after,
    verified: well && after.state === "running",
    took_ms: Date.now() - begun,
  };
}

const STOPPED = {
  stopped: "The stack is stopped.",
  already_stopped: "The stack was not running.",
  stopping: "The stack is stopping.",
};

export function stopOutcome(
  outcome: Observed<StackReport> & { status: StopOutcome["status"]; removed: string[] },
): StopOutcome {
  const { project, status, removed, before, after, begun } = outcome;
  return {
    status,
    message: `${STOPPED[status]}${removed.length > 0 ? ` Deleted volumes: ${say(removed)}.` : ""}`,
    removed_volumes: removed,
    next: status === "stopping" ? nextCall("health_status", { project, wait_for: "stopped" }) : null,
    before,
    after,
    verified: after.state === "stopped" || after.state === "lost",
    took_ms: Date.now() - begun,
  };
}

/** @param outcome `followers` were restarted with it; null when the caller's time ran out and the restart goes on */
export function restartOutcome(
  outcome: Observed<ServiceReport> & { followers: string[] | null; health: ServiceHealth },
): RestartOutcome {
  const { project, followers, health, before, after, begun } = outcome;
  const { service } = after;
  const done = followers !== null;
  return {
    service,
    status: done ? "healthy" : "starting",
    message: done
      ? `${service} runs as a fresh instance (generation ${after.generation}) and is ${health.status}.`
      : `${service} is still ${health.status}: ${health.message}`,
    health,
    dependents_restarted: followers ?? [],
    next: done ? null : nextCall("health_status", { project, wait_for: "healthy" }),
    before,
    after,
    verified: done && health.healthy && after.generation > before.generation,
    took_ms: Date.now() - begun,
  };
}
