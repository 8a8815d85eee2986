/** Services of the compose file that are not part of the running stack: a call stopped them, or left them out. */
import { StackwardenError } from "../../errors.js";
import { callTo, hint } from "../../hint.js";
import type { ServiceHealth } from "../model.js";

export const LEFT_OUT = "Not running: a call stopped it or did not include it.";

export const leftOutHealth = (service: string): ServiceHealth => ({
  service,
  healthy: false,
  status: "stopped",
  message: `${LEFT_OUT} start_stack with services ${JSON.stringify([service])} starts it.`,
  latency_ms: null,
  checked_at: null,
  check: null,
  consecutive_failures: 0,
});

/** The error of an operation that needs the service in the running stack. */
export const leftOut = (project: string, service: string): StackwardenError =>
  new StackwardenError(
    "SERVICE_NOT_STARTED",
    `${service} does not run: a call stopped it or did not include it in the stack.`,
    {
      hint: hint`Start it with ${callTo("start_stack", { project, services: [service] })}.`,
      details: { services: [service] },
    },
  );
