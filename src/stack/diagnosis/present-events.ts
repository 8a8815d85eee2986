/** Which of a service's events belong to its present run: those since the last start by a client. */
import type { StackEvent } from "../model.js";
import { SERVER_ACTOR } from "../storage/events.js";

/**
 * The events since the last start of the service by a client, or by a watch. The restart policy acts as the server:
 * its starts continue a run.
 * @param events events of one service, oldest first
 */
export function presentEvents(events: readonly StackEvent[]): readonly StackEvent[] {
  const begun = events.findLastIndex(({ type, actor }) => type === "service_starting" && actor !== SERVER_ACTOR);
  return begun < 0 ? events : events.slice(begun);
}

const OUTCOMES = new Set<StackEvent["type"]>([
  "service_crashed",
  "service_unhealthy",
  "service_healthy",
  "service_completed",
]);

/** The crash or failed health check with which the present run ended or continues; undefined after a success. */
export function presentFailure(events: readonly StackEvent[]): StackEvent | undefined {
  const last = presentEvents(events).findLast(({ type }) => OUTCOMES.has(type));
  return last?.type === "service_crashed" || last?.type === "service_unhealthy" ? last : undefined;
}
