/**
 * Derives from a stack's services, in one place, its state, its overall health, and the status in answers to changes.
 * Everything that reports a stack (MCP, REST, command line, dashboard, metrics) reads it from here.
 */
import type { ServiceHealth, ServiceState, StackState, StartOutcome } from "../model.js";
import { STANDING } from "./service-state.js";

/** Phase of the whole stack. `closed`: not running. `open`: running, with no start or stop in progress. */
export type StackPhase = "closed" | "starting" | "open" | "stopping" | "lost";

type Described = Pick<ServiceHealth, "service" | "status" | "message">;

/**
 * Derives the state of a stack. An open stack without failing services is also `starting` while a service is
 * restarting.
 * @param changing true while a restart or another change of an open stack is in progress: only such a change starts a
 * stopped service
 */
export function stackState(phase: StackPhase, services: readonly ServiceState[], changing = false): StackState {
  if (phase === "closed") return "stopped";
  if (phase !== "open") return phase;
  const standings = new Set(services.map((state) => STANDING[state]));
  if (standings.has("failing") || (!changing && services.includes("stopped"))) return "degraded";
  return standings.has("coming") || standings.has("down") ? "starting" : "running";
}

/** True when every service that has a check is healthy and every other one runs, or completed its work. */
export const overallHealthy = (state: StackState): boolean => state === "running";

/** Running services without a health check. */
export const uncheckedServices = (services: readonly Pick<ServiceHealth, "service" | "status">[]): string[] =>
  services.filter(({ status }) => status === "running").map(({ service }) => service);

/** Services that are not up, with the reason for each. */
export const missingServices = (services: readonly Described[]): StartOutcome["missing"] =>
  services
    .filter(({ status }) => STANDING[status] !== "up")
    .map(({ service, status, message }) => ({ service, state: status, reason: message }));

/** Describes the services of a `running` stack, and claims only what was observed. */
export function wellSentence(services: readonly Pick<ServiceHealth, "service" | "status">[]): string {
  const named = (state: ServiceState): string[] =>
    services.filter(({ status }) => status === state).map(({ service }) => service);
  const completed = named("completed");
  const unchecked = named("running");
  const rest = services.length - completed.length - unchecked.length;
  if (unchecked.length === 0 && completed.length === 0) return "every service is healthy";
  return [
    ...(rest > 0
      ? [unchecked.length > 0 ? "every service that has a check is healthy" : "every service is healthy"]
      : []),
    ...(completed.length > 0 ? [`completed: ${completed.join(", ")}`] : []),
    ...(unchecked.length > 0 ? [`nothing checks ${unchecked.join(", ")}`] : []),
  ].join("; ");
}

export const asSentence = (words: string): string => `${words.charAt(0).toUpperCase()}${words.slice(1)}.`;

/** Result of a completed start. */
export type Reached = "started" | "unchanged" | "reconciled";

interface Verdict {
  status: StartOutcome["status"];
  message: string;
  verified: boolean;
}

const DONE: Record<Reached, { status: (unchecked: boolean) => StartOutcome["status"]; message: string }> = {
  started: { status: (unchecked) => (unchecked ? "running" : "healthy"), message: "The stack is running" },
  unchanged: { status: () => "already_running", message: "The stack runs already; nothing had to change" },
  reconciled: { status: () => "reconciled", message: "The running stack was brought in line with its definition" },
};

/**
 * Status, message and `verified` of a start, from the state observed after it. `reached` is null when the caller's time
 * ran out and the start continues.
 * @param changes what a start changed in a running stack, one phrase for each change
 *
 * | state                | status                                                  | verified |
 * | -------------------- | ------------------------------------------------------- | -------- |
 * | `running`            | `healthy` or `running`, `already_running`, `reconciled` | true     |
 * | `starting`           | `starting`                                              | false    |
 * | `stopping`, no start | `starting`, though nothing is queued: `next` waits      | false    |
 * | any other            | `degraded`                                              | false    |
 */
export function startVerdict(
  reached: Reached | null,
  state: StackState,
  services: readonly Described[],
  changes: readonly string[] = [],
): Verdict {
  const changed = changes.length > 0 ? `: ${changes.join(", ")}` : "";
  if (state === "running") {
    const { status, message } = DONE[reached ?? "started"];
    const unchecked = uncheckedServices(services).length > 0;
    return { status: status(unchecked), message: `${message}${changed}; ${wellSentence(services)}.`, verified: true };
  }
  const missing = missingServices(services).map((one) => `${one.service} is ${one.state} (${withoutStop(one.reason)})`);
  const list = missing.length > 0 ? ` Not up: ${missing.join("; ")}.` : "";
  if (state === "starting") return { status: "starting", message: `The stack is starting.${list}`, verified: false };
  if (state === "stopping" && reached === null)
    return {
      status: "starting",
      message: "The stack is still stopping, and this call started nothing. Repeat it when the stack has stopped.",
      verified: false,
    };
  const now = state === "degraded" ? "The stack runs, but not every service does." : `The stack is ${state}.`;
  const done = changes.length > 0 ? ` Changed: ${changes.join(", ")}.` : "";
  return { status: "degraded", message: `${now}${list}${done}`, verified: false };
}

const withoutStop = (sentence: string): string => sentence.replace(/\.$/, "");

/**
 * Status of a service after its restart.
 * @param over true when the restart ended; false when the caller's time ran out
 */
export function restartStatus(
  over: boolean,
  state: ServiceState,
): "healthy" | "running" | "completed" | "starting" | "degraded" {
  if (state === "healthy" || state === "running" || state === "completed") return over ? state : "starting";
  return over ? "degraded" : "starting";
}
