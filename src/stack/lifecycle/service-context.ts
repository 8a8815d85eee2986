/** The stack's interface to its service controllers, and the start of an instance with retries. */

import { retryMessage, withRetry } from "../../system/retry.js";
import type { Limits } from "../definition/types.js";
import type { LogSink } from "../logs/types.js";
import type { PrepareServiceRequest, RuntimeService, RuntimeStack, StartServiceRequest } from "../runtime.js";
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

type Retrying = (message: string) => void;

function retried<T>(
  host: ServiceContext,
  verb: "Preparing" | "Starting",
  { service: { name }, signal }: Pick<PrepareServiceRequest, "service" | "signal">,
  retrying: Retrying,
  work: () => Promise<T>,
): Promise<T> {
  return withRetry(work, {
    ...host.retry,
    signal,
    onRetry: (again) => retrying(retryMessage(`${verb} ${name} failed`, again, (again.error as Error).message)),
  });
}

/**
 * Starts an instance. Retries after transient errors.
 * @param retrying called before each retry
 */
export function startInstance(
  host: ServiceContext,
  request: Omit<StartServiceRequest, "sink">,
  retrying: Retrying,
): Promise<RuntimeService> {
  const { service, generation } = request;
  return retried(host, "Starting", request, retrying, () =>
    host.stack.startService({ ...request, sink: host.sink(service.name, generation) }),
  );
}

/** The log of an instance begins with its first output, so that a service without any has not started yet. */
function sinkAtFirstOutput(open: () => LogSink): LogSink {
  let sink: LogSink | undefined;
  const opened = (): LogSink => {
    sink ??= open();
    return sink;
  };
  return {
    write: (stream, chunk, timeMs) => opened().write(stream, chunk, timeMs),
    line: (stream, text) => opened().line(stream, text),
    behind: () => sink?.behind?.() ?? null,
    end: () => sink?.end(),
  };
}

/**
 * Prepares a service for `startInstance`. Retries after transient errors.
 * @param retrying called before each retry
 * @returns `prepared` of the start
 */
export function prepareInstance(
  host: ServiceContext,
  request: Omit<PrepareServiceRequest, "sink">,
  retrying: Retrying,
): Promise<unknown> {
  const { service, generation } = request;
  const sink = (): LogSink => sinkAtFirstOutput(() => host.sink(service.name, generation));
  return retried(host, "Preparing", request, retrying, async () =>
    host.stack.prepareService?.({ ...request, sink: sink() }),
  );
}
