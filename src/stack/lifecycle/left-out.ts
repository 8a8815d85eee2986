/** Services of the compose file that are not part of the running stack. */
import { StackwardenError } from "../../errors.js";
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
