/** The stack's interface to its service controllers, and the start of an instance with retries. */

import { withRetry } from "../../system/retry.js";
import type { Limits } from "../definition/types.js";
import type { LogSink } from "../logs/types.js";
import type { RuntimeService, RuntimeStack, StartServiceRequest } from "../runtime.js";
import type { EventInput } from "../storage/events.js";
import type { VolumeMemory } from "./volume-watch.js";

export interface ServiceContext {
  stack: RuntimeStack;
  limits(service: string): Limits;
  sink(service: string, generation: number): LogSink;
  lastGeneration(service: string): number;
  lastLines(service: string, count: number, generation: number): string[];
  /** Sanitises, redacts and bounds text that came from a service or the runtime. */
  clean(text: string): string;
  event(input: EventInput): void;
  volumes: VolumeMemory;
  /** Called when the state or health has changed. */
  changed(): void;
  retry: { maxRetries: number; baseDelayMs: number };
  requireEnforcedLimits: boolean;
}

/**
 * Starts an instance. Retries after transient errors.
 * @param retrying called before each retry
 */
export function startInstance(
  host: ServiceContext,
  request: Omit<StartServiceRequest, "sink">,
  retrying: (message: string) => void,
): Promise<RuntimeService> {
  const { service, generation, signal } = request;
  const { name } = service;
  return withRetry(() => host.stack.startService({ ...request, sink: host.sink(name, generation) }), {
    ...host.retry,
    signal,
    onRetry: ({ attempt, delayMs, error }) =>
      retrying(`Starting ${name} failed (try ${attempt}), again in ${delayMs} ms: ${(error as Error).message}`),
  });
}
