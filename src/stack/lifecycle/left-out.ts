/** Services of the compose file that are not part of the running stack. */
import { StackwardenError, withHint } from "../../errors.js";
import { callTo, hint } from "../../hint.js";
import type { ServiceHealth } from "../model.js";
import { NOT_IN_STACK } from "../vocabulary.js";

export const leftOutHealth = (service: string): ServiceHealth => ({
  service,
  healthy: false,
  status: "stopped",
  message: `It is ${NOT_IN_STACK}. start_stack with services ${JSON.stringify([service])} starts it.`,
  latency_ms: null,
  checked_at: null,
  check: null,
  consecutive_failures: 0,
});

/** The error of an operation that needs the service in the running stack. */
export const notInStack = (project: string, service: string): StackwardenError =>
  new StackwardenError("SERVICE_NOT_STARTED", `${service} does not run: it is ${NOT_IN_STACK}.`, {
    hint: hint`Start it with ${callTo("start_stack", { project, services: [service] })}.`,
    details: { services: [service] },
    // Only a start brings the service into the stack.
    retryable: false,
  });

/** True when services were started and did not come up. */
export const hasFailedServices = (error: unknown): error is StackwardenError =>
  error instanceof StackwardenError && ["SERVICE_START_FAILED", "START_TIMEOUT"].includes(error.code);

/** Adds the services that are left out to a failed start or restart: their absence can be its cause. */
export function withLeftOut(error: unknown, services: readonly string[] = []): unknown {
  if (!hasFailedServices(error) || services.length === 0) return error;
  const them = services.length === 1 ? "it" : "them";
  const call = hint` Left out by a call: ${services.join(", ")}; ${callTo("start_stack", { services: [...services] })} includes ${them}.`;
  return withHint(error, [...error.hintParts, ...call], { ...error.details, left_out: [...services] });
}
