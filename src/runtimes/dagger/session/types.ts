/** The interface between the Dagger runtime's stack and one engine session. */
import type { Client } from "@dagger.io/dagger";
import type { SessionTelemetry } from "../telemetry/types.js";

/**
 * A trace created by this server (W3C Trace Context). The engine's spans and log records of a request have the trace of
 * that request, so one trace for each start of a service maps telemetry to services.
 */
export interface TraceContext {
  /** 32 lower-case hexadecimal digits. */
  traceId: string;
  /** 16 lower-case hexadecimal digits. */
  spanId: string;
}

export interface ClientOptions {
  /** Trace of every request. */
  trace?: TraceContext;
  /** Aborts pending requests. The engine continues what it has started. */
  signal?: AbortSignal;
}

/** One `dagger session` process with its connections. Every service of the session ends with it. */
export interface DaggerSession {
  /** Version of the engine, e.g. `v0.21.8`. */
  readonly engineVersion: string;
  readonly telemetry: SessionTelemetry;
  /** The SDK's client on this session's own connection. */
  client(options?: ClientOptions): Client;
  /** Settles when the session ended without `close`; never rejects. */
  readonly died: Promise<{ reason: string }>;
  /** Aborted when the session has ended, for any reason. */
  readonly ended: AbortSignal;
  /** Ends the session's process within a deadline. Idempotent. */
  close(): Promise<void>;
}

export interface SessionOptions {
  /** Absolute path of the `dagger` program. */
  cli: string;
  /** `_EXPERIMENTAL_DAGGER_RUNNER_HOST` for the session; null: the CLI's own choice (a container runtime). */
  runnerHost: string | null;
  /** Working directory of the session; uploads use absolute paths regardless. */
  workdir: string;
  /** Milliseconds for opening the session, which can include pulling and starting an engine. Default 300,000. */
  startTimeoutMs?: number;
  /** Milliseconds for the response to a heartbeat; an engine that exceeds it is lost. Default 10,000. */
  responseMs?: number;
  signal: AbortSignal;
  /** The server's environment; the variables that the CLI needs are passed on. */
  env: NodeJS.ProcessEnv;
  warn(message: string): void;
}
/** `openSession(options: SessionOptions): Promise<DaggerSession>` in session/session.ts. */
export type OpenSession = (options: SessionOptions) => Promise<DaggerSession>;
