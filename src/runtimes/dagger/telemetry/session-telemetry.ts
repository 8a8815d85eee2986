/** Delivers a session's log and trace streams to the listeners of each trace. */
import type { Address } from "../session/connection.js";
import { outputRecords, spanRecords } from "./otlp.js";
import { readStream, type SseEvent } from "./sse.js";
import type { SessionTelemetry, TraceListener } from "./types.js";

/** Milliseconds for which a slow listener can pause the stream: other services share it. */
const MOST_WAIT_MS = 1000;

export interface TelemetryOptions {
  address: Address;
  /** Ends the streams. */
  signal: AbortSignal;
  /** Called when a stream broke off and is being resumed. */
  onBroken(): void;
}

interface Entry {
  listener: TraceListener;
  /** Spans of the trace that were reported as begun, and those that have ended. */
  began: Set<string>;
  endedSpans: Set<string>;
  /** Streams that are not closed yet. */
  open: Set<string>;
  /** A wait for the listener has timed out: it is not waited for again until it has caught up. */
  stuck: boolean;
}

async function caughtUp(entry: Entry): Promise<void> {
  const wait = entry.listener.behind?.() ?? null;
  if (wait === null) {
    entry.stuck = false;
    return;
  }
  if (entry.stuck) return;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<true>((resolve) => {
    timer = setTimeout(resolve, MOST_WAIT_MS, true);
    timer.unref();
  });
  entry.stuck = await Promise.race([wait.then(() => false), late]);
  clearTimeout(timer);
}

export function openTelemetry({ address, signal, onBroken }: TelemetryOptions): SessionTelemetry {
  const entries = new Map<string, Entry>();
  const faults = { resumed: 0, unreadable: 0 };

  const output = async (event: SseEvent): Promise<void> => {
    for (const { traceId, stream, bytes, eof, timeMs } of outputRecords(event.data)) {
      const entry = entries.get(traceId);
      if (entry === undefined) continue;
      if (bytes.length > 0) {
        entry.listener.output?.(stream, bytes, timeMs);
        // Checked after every record: one event can contain more than a listener can accept.
        await caughtUp(entry);
      }
      if (eof && entry.open.delete(stream) && entry.open.size === 0) entry.listener.drained?.();
    }
  };
  const spans = (event: SseEvent): void => {
    for (const { traceId, spanId, name, endedAt, exitCode, failure } of spanRecords(event.data)) {
      const entry = entries.get(traceId);
      if (entry === undefined) continue;
      if (!entry.began.has(spanId)) {
        entry.began.add(spanId);
        entry.listener.began?.(name);
      }
      if (!name.startsWith("exec ") || entry.endedSpans.has(spanId)) continue;
      if (exitCode === undefined && endedAt === null) continue;
      entry.endedSpans.add(spanId);
      const untold = exitCode === undefined && failure !== undefined;
      const at = endedAt ?? Date.now();
      entry.listener.exited?.({ exitCode: exitCode ?? null, at, ...(untold ? { failure } : {}) }, name);
    }
  };
  const read = (path: string, take: (event: SseEvent) => void | Promise<void>): void => {
    void readStream({
      address,
      path,
      signal,
      onEvent: async (event) => {
        if (event.data === "") return;
        try {
          await take(event);
        } catch {
          faults.unreadable += 1;
        }
      },
      onBroken: () => {
        faults.resumed += 1;
        onBroken();
      },
    });
  };
  read("/v1/logs", output);
  read("/v1/traces", spans);

  return {
    faults,
    listen: (traceId, listener) => {
      entries.set(traceId, {
        listener,
        began: new Set(),
        endedSpans: new Set(),
        open: new Set(["stdout", "stderr"]),
        stuck: false,
      });
      return () => void entries.delete(traceId);
    },
  };
}
