/** Log lines: how they come in, how they are asked for, what comes back. */

import type { LogPage, LogStream } from "../schemas/logs.js";
import type { LogLevel } from "./levels.js";

export type { LogLine, LogPage, LogStream } from "../schemas/logs.js";

/** Where a runtime puts what a service prints. Never blocks, never throws. */
export interface LogSink {
  write(stream: LogStream, chunk: Uint8Array, timeMs?: number): void;
  /** A line of our own (installation output, notices); `text` is one line. */
  line(stream: LogStream, text: string): void;
  /**
   * While the disk is behind: settles when it caught up, else null. Whoever reads a pipe should wait for it (a moment,
   * not for good) before reading on; otherwise lines of a flood are lost, and counted as such.
   */
  behind?(): Promise<void> | null;
  /** The stream ended: a rest without newline becomes a line. */
  end(): void;
}

export interface LogQuery {
  /** Empty or absent: all services. */
  services?: string[];
  /** Last lines wanted, 1…10,000. Default 100. */
  tail?: number;
  /** Epoch milliseconds, inclusive. */
  sinceMs?: number;
  untilMs?: number;
  /** Literal text (case-insensitive) or, with `regex`, an RE2 expression. */
  grep?: string;
  regex?: boolean;
  stream?: LogStream;
  /** Only records (a line and those that continue it) of at least this level; without a level a line counts as info. */
  minLevel?: LogLevel;
  /** Lines of the same service before and after each record that matches, 0…20. Default 0; with `waitFor` 5. */
  context?: number;
  /**
   * Wait until a line holds this text (case-insensitive) or, with `regex`, matches this expression: of the present
   * instance, or after `sinceMs` or `cursor`. Ends at `waitMs` or by `signal`, always with an answer.
   */
  waitFor?: string;
  /** Counts by level and message instead of lines. */
  summary?: boolean;
  /** Opaque; lines after it, oldest first. */
  cursor?: string;
  /** With several services it applies to each: only lines of the instance before the present one. */
  previous?: boolean;
  /** Long poll: wait up to so long for a first matching line after `cursor` (or after now). */
  waitMs?: number;
  /** Collapse repeated lines. Default true. */
  collapse?: boolean;
  /** Budget for the sum of text bytes. Default 40,000. */
  maxBytes?: number;
  signal?: AbortSignal;
}

export interface LogStoreStats {
  lines: number;
  bytes: number;
  dropped: number;
  last_seq: number;
}

/** What came, of one service. */
export interface LogTotals {
  service: string;
  /** Since the log was opened. */
  lines: number;
  /** Of their text in UTF-8, since the log was opened. */
  bytes: number;
  /** Lines lost to the bound of the spool, since the store exists. */
  dropped: number;
}

export interface LogStore {
  /** Starts a new instance's log. */
  sink(service: string, generation: number): LogSink;
  query(query: LogQuery): Promise<LogPage>;
  /** Synchronous view of the newest `count` lines of one instance (error reports). */
  lastLines(service: string, count: number, generation?: number): string[];
  /** Highest generation seen for a service, 0 when none (survives a restart of the server). */
  lastGeneration(service: string): number;
  /** Called after lines were appended, at most once a tick for each service. Returns the unsubscribe function. */
  onAppend(listener: (service: string) => void): () => void;
  stats(service?: string): LogStoreStats;
  totals(): LogTotals[];
  /** Writes what is pending to the spool. */
  flush(): Promise<void>;
  close(): Promise<void>;
}

export interface LogStoreOptions {
  /** Directory of the spool; created with mode 0700. */
  directory: string;
  /** Applied to every line at the store's border. */
  redact(text: string): string;
  /** In-memory bound for each service in bytes. Default 8 MiB. */
  ringBytes?: number;
  /** On-disk bound for each service in bytes. Default 64 MiB. */
  spoolBytes?: number;
  /** Told once when the spool cannot be written (disk full): the ring goes on alone. */
  onSpoolError?(error: Error): void;
}
/** `openLogStore(options: LogStoreOptions): Promise<LogStore>` in src/stack/logs/store.ts. */
export type OpenLogStore = (options: LogStoreOptions) => Promise<LogStore>;
