/** Interfaces of the log store: input, queries and answers. */

import type { LineStream, LogPage } from "../schemas/logs.js";
import type { LogLevel } from "./levels.js";

export type { LineStream, LogLine, LogPage, LogStream } from "../schemas/logs.js";

/** Receives a service's output from a runtime. Never blocks and never throws. */
export interface LogSink {
  write(stream: LineStream, chunk: Uint8Array, timeMs?: number): void;
  /** Writes a line of stackwarden itself (installation output, notices). `text` is a single line. */
  line(stream: LineStream, text: string): void;
  /**
   * A promise that settles when the disk has caught up; null when the disk is not behind. A reader of a pipe should
   * wait for it for a limited time before it reads more. Otherwise lines of a flood are lost and counted as dropped.
   */
  behind?(): Promise<void> | null;
  /** Ends the stream. Remaining bytes without a newline become a line. */
  end(): void;
}

export interface LogQuery {
  /** Empty or absent: all services. */
  services?: string[];
  /** Number of last lines, 1…10,000. Default 100. */
  tail?: number;
  /** Epoch milliseconds, inclusive. */
  sinceMs?: number;
  untilMs?: number;
  /** Literal text (case-insensitive) or, with `regex`, an RE2 expression. */
  grep?: string;
  regex?: boolean;
  /** Default: stdout and stderr. */
  stream?: LineStream;
  /** Only records (a line and those that continue it) of at least this level; without a level a line counts as info. */
  minLevel?: LogLevel;
  /** Lines of the same service before and after each record that matches, 0…20. Default 0; with `waitFor` 5. */
  context?: number;
  /**
   * Wait until a line holds this text (case-insensitive) or, with `regex`, matches this expression: of the current
   * instance, or after `sinceMs` or `cursor`. Ends after `waitMs` or when `signal` aborts, always with an answer.
   */
  waitFor?: string;
  /** `waitFor` without `sinceMs` and `cursor` ignores the lines that exist at the call. */
  newLines?: boolean;
  /** Counts by level and message instead of lines. */
  summary?: boolean;
  /** Opaque cursor: returns the lines after it, oldest first. */
  cursor?: string;
  /** Only lines of the instance before the current one, for each service. */
  previous?: boolean;
  /**
   * Long poll: milliseconds to wait for the first matching line after `cursor`, or after the call when there is no
   * cursor.
   */
  waitMs?: number;
  /** Collapse repeated lines. Default true. */
  collapse?: boolean;
  /** Maximum total bytes of text. Default 40,000. */
  maxBytes?: number;
  signal?: AbortSignal;
}

export interface LogStoreStats {
  lines: number;
  bytes: number;
  dropped: number;
  last_seq: number;
}

/** Totals of one service's output. */
export interface LogTotals {
  service: string;
  /** Lines received since the log was opened. */
  lines: number;
  /** UTF-8 bytes of text received since the log was opened. */
  bytes: number;
  /** Lines lost to the spool's bound since the store was created. */
  dropped: number;
}

export interface LogStore {
  /** Starts a new instance's log. */
  sink(service: string, generation: number): LogSink;
  query(query: LogQuery): Promise<LogPage>;
  /** Synchronous view of the newest `count` lines that one instance itself printed (error reports). */
  lastLines(service: string, count: number, generation?: number): string[];
  /** Highest generation seen for a service, 0 when none (survives a restart of the server). */
  lastGeneration(service: string): number;
  /**
   * Registers a listener that is called after lines were appended, at most once per tick for each service. Returns a
   * function that unsubscribes it.
   */
  onAppend(listener: (service: string) => void): () => void;
  stats(service?: string): LogStoreStats;
  totals(): LogTotals[];
  /** Writes pending lines to the spool. */
  flush(): Promise<void>;
  close(): Promise<void>;
}

export interface LogStoreOptions {
  /** Directory of the spool; created with mode 0700. */
  directory: string;
  /** Applied to every line before it is stored. */
  redact(text: string): string;
  /** In-memory bound for each service in bytes. Default 8 MiB. */
  ringBytes?: number;
  /** On-disk bound for each service in bytes. Default 64 MiB. */
  spoolBytes?: number;
  /**
   * Called once when the spool cannot be written, for example on a full disk. The store then keeps lines in memory
   * only.
   */
  onSpoolError?(error: Error): void;
}
/** `openLogStore(options: LogStoreOptions): Promise<LogStore>` in src/stack/logs/store.ts. */
export type OpenLogStore = (options: LogStoreOptions) => Promise<LogStore>;
