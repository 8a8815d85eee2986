/** Content of a session's telemetry streams, mapped to the traces of this server's requests. */
import type { LogStream } from "../../../stack/logs/types.js";

/** The container of a trace has ended. */
export interface ContainerExit {
  /** Null when the engine did not report it. */
  exitCode: number | null;
  /** Epoch milliseconds. */
  at: number;
  /** The engine's error message when no process was created, for example `get user: unable to find user x`. */
  failure?: string;
}

/** Listener for one trace. Its methods are called in the order of the streams and must not throw. */
export interface TraceListener {
  /** A raw chunk of output, which can split lines and characters. Time in epoch milliseconds. */
  output?(stream: LogStream, chunk: Uint8Array, timeMs: number): void;
  /** The process closed both of its streams: no more output follows. */
  drained?(): void;
  /** The engine ran a container (`exec …`) of this trace and it ended. `name` is the span's. */
  exited?(exit: ContainerExit, name: string): void;
  /** A span of this trace began: pulls and builds, for progress. */
  began?(name: string): void;
  /** Backpressure: a promise that settles when the listener can accept more data, else null. */
  behind?(): Promise<void> | null;
}

export interface SessionTelemetry {
  /** Delivers everything with this trace to the listener from now on. Register before sending the request. */
  listen(traceId: string, listener: TraceListener): () => void;
  /** Number of times a stream was resumed, and of records that could not be read. */
  readonly faults: { resumed: number; unreadable: number };
}
