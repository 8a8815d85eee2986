/** Where the page's data comes from. There are two: REST with a token, and the host of an MCP App. */
import type { Answers, Input, LogLine, OperationName } from "./types.js";

export interface LogFilter {
  project: string;
  /** Null: all services. */
  service: string | null;
  stream: "stdout" | "stderr" | null;
  /** Empty: every line. */
  text: string;
  regex: boolean;
}

export interface DataSource {
  /** Whether actions may be offered. The server refuses them anyhow where they are not permitted. */
  readonly mayChange: boolean;
  /** Seconds that one call may wait for an event; 0 where waiting calls would be in the way of others. */
  readonly waitSeconds: number;
  /** @throws Failure */
  call<Name extends OperationName>(operation: Name, input: Input, signal?: AbortSignal): Promise<Answers[Name]>;
  /**
   * The last lines, then new ones as they come, until the signal; a broken connection is taken up again.
   * @throws Failure when there is nothing to follow
   */
  followLogs(filter: LogFilter, onLines: (lines: LogLine[]) => void, signal: AbortSignal): Promise<void>;
  /** Opens a service's address for the user. False: a plain link does. */
  openLink(url: string): boolean;
}

/** Lines shown at the start. */
export const TAIL = 200;

/** An operation's error, with what to do next; or `UNREACHABLE` without a response. */
export class Failure extends Error {
  constructor(
    readonly code: string,
    message: string,
    readonly hint = "",
  ) {
    super(message);
  }

  /** From an error that a door reports: `message` in MCP, `detail` in REST. */
  static of(report: unknown, otherwise: string): Failure {
    const { code, message, detail, hint } = (report ?? {}) as Record<string, unknown>;
    const text = message ?? detail;
    return new Failure(
      typeof code === "string" ? code : "UNREACHABLE",
      typeof text === "string" ? text : otherwise,
      typeof hint === "string" ? hint : "",
    );
  }
}

export const logInput = ({ project, service, stream, text, regex }: LogFilter): Input => ({
  project,
  ...(service === null ? {} : { service }),
  ...(stream === null ? {} : { stream }),
  ...(text === "" ? {} : { grep: text, ...(regex ? { regex } : {}) }),
});

/** Resolves early when the signal aborts. */
export const sleep = (ms: number, signal?: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal?.aborted === true) return resolve();
    const done = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener("abort", done);
  });
