/** What a session's telemetry streams tell, mapped to the traces that we gave to our requests. */
import type { LogStream } from "../../../stack/logs/types.js";

/** The container of a trace has ended. */
export interface ContainerExit {
  /** Null when the engine did not say. */
  exitCode: number | null;
  /** Epoch milliseconds. */
  at: number;
  /** The engine's own words where no process came to be, e.g. `get user: unable to find user x`. */
  failure?: string;
}

/** Who listens to one trace. Called in the order of the streams; must not throw. */
export interface TraceListener {
  /** Raw output as it came: neither whole lines nor whole characters. Epoch milliseconds. */
  output?(stream: LogStream, chunk: Uint8Array, timeMs: number): void;
  /** The process closed both its streams: nothing more will come. */
  drained?(): void;
  /** The engine ran a container (`exec …`) of this trace and it ended. `name` is the span's. */
  exited?(exit: ContainerExit, name: string): void;
  /** A span of this trace began: pulls and builds, for progress. */
  began?(name: string): void;
  /** While the listener cannot take more: settles when it can, else null. */
  behind?(): Promise<void> | null;
}

export interface SessionTelemetry {
  /** What carries this trace goes to the listener, from now on. Register before the request is sent. */
  listen(traceId: string, listener: TraceListener): () => void;
  /** How often a stream had to be resumed, and what could not be read. */
  readonly faults: { resumed: number; unreadable: number };
}
