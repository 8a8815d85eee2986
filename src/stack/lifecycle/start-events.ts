/** Events of a stack's starts. */
import { toStackwardenError } from "../../errors.js";
import type { EventInput } from "../storage/events.js";
import { hasMoved, movedPorts } from "./port-plan.js";
import type { Change } from "./rollback.js";
import type { Stack } from "./stack.js";
import { asSentence, wellSentence } from "./stack-state.js";

/**
 * The event of a failed start. Includes the error code and the service for later diagnosis.
 * @param changed false when the start was refused before it started or stopped a service
 */
export function startFailed(error: unknown, actor: string, changed: boolean): EventInput {
  const { code, details, message, hint } = toStackwardenError(error);
  const { service, rolled_back, down } = details ?? {};
  const data = {
    code,
    hint,
    changed,
    ...(typeof service === "string" ? { service } : {}),
    ...(rolled_back === undefined ? {} : { rolled_back, down }),
  };
  return { type: "stack_start_failed", message, actor, data };
}

/** The event of a call that was refused while the stack ran, and changed nothing. */
export function startRefused(error: unknown, actor: string): EventInput {
  const { type: _type, message, ...event } = startFailed(error, actor, false);
  return { ...event, type: "start_refused", message: `The start was refused; nothing changed: ${message}` };
}

/** The event of a start that succeeded. Services may have ended between their own start and the last service's start. */
export function stackStarted(stack: Stack, actor: string): EventInput {
  const units = [...stack.units.values()];
  const down = units.filter((unit) => !unit.up);
  const services = units.map((unit) => ({ service: unit.name, status: unit.state }));
  const message =
    down.length === 0
      ? asSentence(wellSentence(services))
      : `The stack started, but not every service is up: ${down.map((unit) => `${unit.name} is ${unit.state}`).join(", ")}.`;
  return { type: "stack_started", message, actor };
}

/**
 * An event for each host port that differs from the compose file's.
 * @param known messages about ports that were reported before
 */
export function portsReassigned(stack: Stack, known: readonly string[] = []): EventInput[] {
  return movedPorts(stack.definition, stack.runtimeStack.endpoints())
    .map((port) => ({ ...port, message: hasMoved(port) }))
    .filter(({ message }) => !known.includes(message))
    .map(({ service, from, to, message }) => ({ type: "port_reassigned", service, message, data: { from, to } }));
}

export function serviceReplaced({ service, reason }: Change, actor: string): EventInput {
  return { type: "service_replaced", service, message: `${service} was replaced: ${reason}.`, actor };
}
