/** Reports of one service: its health, its state, and the reason why it is not up. */

import { StackwardenError } from "../../errors.js";
import { callTo, hint } from "../../hint.js";
import type { ServiceDefinition } from "../definition/types.js";
import { foldSimilar } from "../logs/patterns.js";
import type { ExitReport, ServiceHealth, ServiceReport, ServiceState } from "../model.js";
import type { AppliedLimits, Endpoint, RuntimeService, ServiceExit } from "../runtime.js";
import { NO_PERMISSION, PRIVILEGED_PORT } from "../text/permission-lines.js";
import type { HealthView } from "./health-monitor.js";
import { addressOf } from "./web-ports.js";

export interface ServiceFacts {
  name: string;
  state: ServiceState;
  definition: ServiceDefinition;
  generation: number;
  restarts: number;
  /** Null when the service is not running. */
  instance: RuntimeService | null;
  applied: AppliedLimits | null;
  lastExit: ServiceExit | null;
  /** `lastExit` when it ended the newest instance; null when it ended an earlier one. */
  ownExit: ServiceExit | null;
  /** Why the last start was refused before an instance existed; null otherwise. */
  refusal: string | null;
  /** Why a stopped service is stopped, as a sentence; null when a client stopped it. */
  stopReason: string | null;
  /** What the runtime does for the next instance, such as a pull; null when nothing is in progress. */
  phase: string | null;
  /** True when the restart policy will restart the service. */
  restartPending: boolean;
  /** Result of the health checks; null before the first instance ran. */
  view: HealthView | null;
}

export const exitReport = (exit: ServiceExit): ExitReport => ({
  exit_code: exit.exitCode,
  signal: exit.signal,
  oom_killed: exit.oomKilled,
  at: new Date(exit.at).toISOString(),
});

export function describeExit(exit: ServiceExit | null): string {
  if (exit === null) return "it is gone";
  if (exit.oomKilled) return "the kernel killed it for exceeding its memory limit (OOM kill)";
  if (exit.signal !== null) return `it was ended by ${exit.signal}`;
  return `it exited with code ${exit.exitCode ?? "unknown"}${exit.reason === undefined ? "" : `: ${exit.reason}`}`;
}

const unprivileged = (name: string): string =>
  `It lacks a permission: services do not run as root. Let it write to a named volume or a tmpfs, or set a \`user\` that its files belong to; the operator can allow root (allow_root: [${name}]). The others start without it (\`without\`).`;

function permissionHint(name: string, { allowRoot }: ServiceDefinition, lines: readonly string[]): string {
  if (lines.some((line) => PRIVILEGED_PORT.test(line)))
    return "It may not listen on a port below 1024, because services do not run as root: choose a port from 1024 upwards. ";
  return !allowRoot && lines.some((line) => NO_PERMISSION.test(line)) ? `${unprivileged(name)} ` : "";
}

const memoryHint = ({ ownExit }: ServiceFacts): string =>
  ownExit?.oomKilled === true ? "Raise its memory limit (in the compose file, or a limit that was set later). " : "";

/**
 * The error that describes why the service is not up.
 * @param lines the instance's last log lines
 * @param dependent a service that waits for this one; given when this one ran before the start
 */
export function startFailure(facts: ServiceFacts, lines: string[], dependent?: string): StackwardenError {
  const { name, state, ownExit, definition } = facts;
  const message =
    dependent === undefined
      ? `The service ${name} did not start: ${startFault(facts)}.`
      : `The service ${name} is ${state}: ${startFault(facts)}. ${dependent} depends on it and did not start.`;
  return new StackwardenError("SERVICE_START_FAILED", message, {
    hint: hint`${permissionHint(name, definition, lines)}${memoryHint(facts)}Read its last lines in details.last_lines or with ${callTo("get_logs", { service: name })}, correct the cause, then call again.`,
    details: {
      service: name,
      ...(dependent === undefined ? {} : { dependent }),
      state,
      exit: ownExit === null ? null : exitReport(ownExit),
      last_lines: foldSimilar(lines),
    },
  });
}

/** Why the service is not up, as a part of a sentence. */
export function startFault({ state, ownExit, refusal, view }: ServiceFacts): string {
  if (state === "unhealthy") {
    const failures = view?.consecutiveFailures ?? 0;
    const often = failures === 1 ? "once" : `${failures} times`;
    return `its health check (${view?.check ?? "no result"}) failed ${often}: ${view?.message ?? ""}`.replace(
      /\.$/,
      "",
    );
  }
  if (state === "stopped" || state === "stopping") return "it was stopped";
  if (state === "lost") return "its runtime ended unexpectedly";
  return refusal ?? describeExit(ownExit);
}

/** The reason of a service that was not started because of another failure. */
export const notStarted = (cause: unknown): string => `Not started: ${messageOf(cause)}`;

/** The reason of a service that ran and was stopped because the start of the others failed. */
export const stoppedWith = (cause: unknown): string => `Stopped, because the start failed: ${messageOf(cause)}`;

const messageOf = (cause: unknown): string => (cause instanceof Error ? cause.message : "the start ended.");

/** The value of `healthy` in each state; null when the service has no check, or no check has decided yet. */
const HEALTHY: Readonly<Record<ServiceState, boolean | null>> = {
  pending: false,
  starting: false,
  running: null,
  healthy: true,
  unhealthy: false,
  stopping: false,
  stopped: false,
  completed: true,
  crashed: false,
  lost: false,
};

export function serviceHealth(facts: ServiceFacts): ServiceHealth {
  const { name, state } = facts;
  // Ignore the checks of an ended instance.
  const view = facts.instance === null ? null : facts.view;
  const healthy = HEALTHY[state];
  const checked = view !== null && (view.healthy !== null || state === "running");
  // A service stays healthy until `retries` checks have failed.
  const recent = healthy === true && view?.healthy === false ? `healthy until now; the last check failed: ` : "";
  const message = checked ? `${recent}${view.message}` : stateMessage(facts);
  return {
    service: name,
    healthy,
    status: state,
    message,
    ...(healthy === false ? { error: message } : {}),
    latency_ms: view?.latencyMs ?? null,
    checked_at: view?.checkedAt ? new Date(view.checkedAt).toISOString() : null,
    check: view?.check ?? null,
    consecutive_failures: view?.consecutiveFailures ?? 0,
  };
}

function stateMessage(facts: ServiceFacts): string {
  const { state, lastExit, restartPending, refusal, stopReason, phase, definition } = facts;
  if (state === "crashed")
    return `Not running: ${refusal ?? describeExit(lastExit)}${restartPending ? "; its restart policy starts it again" : ""}.`;
  if (state === "completed") return "Ended with exit code 0.";
  const dependencies = Object.keys(definition.dependsOn);
  if (state === "pending" && dependencies.length > 0)
    return `Pending: ${phase === null ? "" : `${phase}; `}it starts after ${dependencies.join(", ")}.`;
  if (state === "starting") return phase === null ? "Starting; no check was made yet." : `Starting: ${phase}.`;
  if (state === "lost") return "Its runtime ended unexpectedly.";
  if (state === "stopped" && stopReason !== null) return stopReason;
  const last = state === "stopped" && lastExit !== null ? ` (its last instance: ${describeExit(lastExit)})` : "";
  return `The service is ${state}${last}.`;
}

/** Names that the definition declares: environment variables, whose values reports never have, and commands. */
export function declaredNames({
  environment,
  commands,
}: ServiceDefinition): Pick<ServiceReport, "environment" | "commands"> {
  const variables = Object.keys(environment);
  return {
    ...(variables.length === 0 ? {} : { environment: variables }),
    ...(commands === undefined ? {} : { commands: Object.keys(commands) }),
  };
}

export function serviceReport(facts: ServiceFacts, endpoints: readonly Endpoint[]): ServiceReport {
  const { name, state, definition, generation, restarts, instance, applied, lastExit } = facts;
  const check = (definition.healthcheck ?? instance?.imageHealthcheck)?.test;
  return {
    service: name,
    state,
    image: definition.image ?? null,
    generation,
    restarts,
    started_at: instance === null ? null : new Date(instance.startedAt).toISOString(),
    pid: instance?.pid ?? null,
    user: instance?.user ?? null,
    endpoints: endpoints
      .filter((endpoint) => endpoint.service === name)
      .map((endpoint) => {
        const { host, host_port, container_port } = endpoint;
        return { host, host_port, container_port, url: addressOf(endpoint, check, facts.view?.web) };
      }),
    limits: applied,
    last_exit: lastExit === null ? null : exitReport(lastExit),
    depends_on: Object.keys(definition.dependsOn),
    ...declaredNames(definition),
    notes: instance?.notes ?? [],
  };
}
