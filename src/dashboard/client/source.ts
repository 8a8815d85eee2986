/** Data sources of the page. There are two: REST with a token, and the host of an MCP App. */
import type { Answers, Input, LogLine, OperationName } from "./types.js";

export interface LogFilter {
  project: string;
  /** Null: all services. */
  service: string | null;
  stream: "stdout" | "stderr" | "install" | null;
  /** Lines of this level and above. Null: every line. */
  level: "info" | "warning" | "error" | null;
  /** Age of the oldest line, such as `15m`. Null: the last lines, whatever their age. */
  since: string | null;
  /** Empty: every line. */
  text: string;
  regex: boolean;
}

/** Commands that the operator permits. */
export type CommandPolicy = "any" | "declared" | "off";

export interface DataSource {
  /** Whether the page offers actions. The server enforces permissions independently of this flag. */
  readonly mayChange: boolean;
  readonly commands: CommandPolicy;
  /** Time limit of a command. Hosts of MCP Apps end calls that take longer than a minute. */
  readonly commandSeconds: number;
  /** Seconds that a request for events may wait for one. 0 when a waiting call would block other calls. */
  readonly waitSeconds: number;
  /** Whether the page can save a file. */
  readonly canDownload: boolean;
  /** @throws Failure */
  call<Name extends OperationName>(operation: Name, input: Input, signal?: AbortSignal): Promise<Answers[Name]>;
  /**
   * Delivers the last lines, then new ones as they arrive, until the signal aborts. Reconnects after a broken
   * connection.
   * @throws Failure when there are no logs to follow
   */
  followLogs(filter: LogFilter, onLines: (lines: LogLine[]) => void, signal: AbortSignal): Promise<void>;
  /** Opens the address of a service for the user. Returns false when a plain link works. */
  openLink(url: string): boolean;
}

/** Lines shown at the start. */
const TAIL = 200;
/** Most lines of a chosen period. */
const PERIOD_TAIL = 2000;

/** The error of an operation with a hint for the next step; `UNREACHABLE` when there was no response. */
export class Failure extends Error {
  constructor(
    readonly code: string,
    message: string,
    readonly hint = "",
  ) {
    super(message);
  }

  /** Reads the error that an interface reports: `message` in MCP, `detail` in REST. */
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

export const logInput = ({ project, service, stream, level, text, regex }: LogFilter): Input => ({
  project,
  ...(service === null ? {} : { service }),
  ...(stream === null ? {} : { stream }),
  ...(level === null ? {} : { min_level: level }),
  ...(text === "" ? {} : { grep: text, ...(regex ? { regex } : {}) }),
});

/** The first lines to request; later requests continue at a cursor. */
export const startInput = ({ since }: LogFilter): Input =>
  since === null ? { tail: TAIL } : { tail: PERIOD_TAIL, since };

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
