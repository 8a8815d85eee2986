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
  const logs = `get_logs with {"project": "${project}", "service": "${missing[0]?.service ?? ""}"} to see why.`;
  const health = `health_status with {"project": "${project}", "wait_for": "healthy"}; or start_stack again, which joins the start under way.`;
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
  outcome: Observed<StackReport> & {
    status: StopOutcome["status"];
    removed: string[];
    /** Those that were stopped, when the others keep running. */
    services?: readonly string[];
  },
): StopOutcome {
  const { project, status, removed, before, after, begun, services } = outcome;
  const alone =
    services !== undefined && status === "stopped"
      ? `Stopped: ${say([...services])}. The other services keep running.`
      : null;
  return {
    status,
    message: `${alone ?? STOPPED[status]}${removed.length > 0 ? ` Deleted volumes: ${say(removed)}.` : ""}`,
    removed_volumes: removed,
    next:
      status === "stopping"
        ? `health_status with {"project": "${project}", "wait_for": "stopped"}; or stop_stack again, which joins the stop under way.`
        : null,
    before,
    after,
    verified:
      services === undefined
        ? after.state === "stopped" || after.state === "lost"
        : services.every((name) => after.services[name] === undefined || after.services[name].state === "stopped"),
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
    next: done
      ? null
      : `health_status with {"project": "${project}", "wait_for": "healthy"}; or restart_service again, which joins this restart.`,
    before,
    after,
    verified: done && health.healthy && after.generation > before.generation,
    took_ms: Date.now() - begun,
  };
}
