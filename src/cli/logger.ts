/**
 * The server's own log: JSON lines on standard error, never on standard output, which belongs to the protocol or
 * to the command's result. pino is loaded at the first line that is really written.
 */
import { writeSync } from "node:fs";
import type { Logger } from "../stack/logger.js";

export type LogLevel = "fatal" | "error" | "warn" | "info" | "debug" | "trace" | "silent";
type LogFields = Record<string, unknown>;

const WEIGHT: Record<LogLevel, number> = { trace: 10, debug: 20, info: 30, warn: 40, error: 50, fatal: 60, silent: 99 };
const STDERR = 2;

/** Field names whose value never reaches the log, at the top and one level down. */
export const REDACTED = [
  "password",
  "passwd",
  "secret",
  "token",
  "authorization",
  "apiKey",
  "api_key",
  "secrets",
  "env",
  "environment",
  "secretValues",
];

interface Sink {
  write(level: "error" | "warn" | "info" | "debug", message: string, fields: LogFields): void;
}

/**
 * @param level lines below it cost nothing
 * @param fd where lines go; written synchronously, so that an exit loses none
 */
export function createLogger(level: LogLevel, fd = STDERR): Logger {
  let sink: Sink | undefined;
  let loading: Promise<void> | undefined;
  let waiting: Parameters<Sink["write"]>[] = [];
  const drain = (to: Sink): void => {
    const lines = waiting;
    waiting = [];
    for (const line of lines) to.write(...line);
  };
  const load = async (): Promise<void> => {
    const { default: pino } = await import("pino");
    const target = pino(
      {
        name: "stackwarden",
        level,
        redact: { paths: REDACTED.flatMap((key) => [key, `*.${key}`]), censor: "[redacted]" },
        timestamp: pino.stdTimeFunctions.isoTime,
      },
      pino.destination({ dest: fd, sync: true }),
    );
    sink = { write: (at, message, fields) => target[at](fields, message) };
    drain(sink);
  };
  // An exit before pino arrived must not swallow why.
  const plain: Sink = {
    write: (at, message) => {
      try {
        writeSync(fd, `${JSON.stringify({ level: WEIGHT[at], name: "stackwarden", msg: message })}\n`);
      } catch {
        // Nobody listens any more.
      }
    },
  };
  const write = (at: "error" | "warn" | "info" | "debug", message: string, fields: LogFields = {}): void => {
    if (WEIGHT[at] < WEIGHT[level]) return;
    if (sink !== undefined) {
      sink.write(at, message, fields);
      return;
    }
    waiting.push([at, message, fields]);
    if (loading === undefined) {
      process.once("exit", () => drain(plain));
      loading = load().catch(() => drain(plain));
    }
  };
  return {
    error: (message, fields) => write("error", message, fields),
    warn: (message, fields) => write("warn", message, fields),
    info: (message, fields) => write("info", message, fields),
    debug: (message, fields) => write("debug", message, fields),
  };
}
