/**
 * The server's own log: JSON lines on standard error, never on standard output, which belongs to the protocol or
 * to the command's result. pino is loaded at the first line that is really written.
 */
import { writeSync } from "node:fs";
import type { Logger } from "./logger.js";
import { SECRET_FIELDS } from "./stack/text/secret-names.js";

export type LogLevel = "fatal" | "error" | "warn" | "info" | "debug" | "trace" | "silent";
type LogFields = Record<string, unknown>;

const WEIGHT: Record<LogLevel, number> = { trace: 10, debug: 20, info: 30, warn: 40, error: 50, fatal: 60, silent: 99 };
const STDERR = 2;

interface Sink {
  write(level: "error" | "warn" | "info" | "debug", message: string, fields: LogFields): void;
}

/**
 * @param level lines below it cost nothing
 * @param target where lines go: a descriptor, or what writes them; written synchronously, so that an exit loses none
 */
export function createLogger(level: LogLevel, target: number | { write(line: string): void } = STDERR): Logger {
  const out = typeof target === "number" ? { write: (line: string) => void writeSync(target, line) } : target;
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
    const log = pino(
      {
        name: "stackwarden",
        level,
        redact: { paths: SECRET_FIELDS.flatMap((key) => [key, `*.${key}`]), censor: "[redacted]" },
        timestamp: pino.stdTimeFunctions.isoTime,
      },
      typeof target === "number" ? pino.destination({ dest: target, sync: true }) : target,
    );
    sink = { write: (at, message, fields) => log[at](fields, message) };
    drain(sink);
  };
  // An exit before pino arrived must not swallow why.
  const plain: Sink = {
    write: (at, message) => {
      try {
        out.write(`${JSON.stringify({ level: WEIGHT[at], name: "stackwarden", msg: message })}\n`);
      } catch {
        // The reader of the log has closed it.
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
