/** What goes into the entry script and what comes out of it. */
import type { Limits } from "../../../stack/definition/types.js";

/** Where the script is mounted, read-only. */
export const ENTRY_PATH = "/.stackwarden/entry";

/**
 * The engine gives these to every container, for programs that report to it, and overwrites those of the same name. A
 * service is none of them: it gets its own values, which travel under other names, or none.
 */
export const ENGINE_VARIABLES = [
  "BAGGAGE",
  "TRACEPARENT",
  "TRACESTATE",
  "OTEL_TRACES_EXPORTER",
  ...[
    "ENDPOINT",
    "PROTOCOL",
    "TRACES_ENDPOINT",
    "TRACES_PROTOCOL",
    "TRACES_LIVE",
    "LOGS_ENDPOINT",
    "LOGS_PROTOCOL",
  ].map((what) => `OTEL_EXPORTER_OTLP_${what}`),
  "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
  "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL",
];
/** Before the name of such a variable, where the service has one of its own. */
export const OWN_PREFIX = "STACKWARDEN_OWN_";

/** Begins each of the script's own lines on stderr, so that the log reader can take them out. */
export const ENTRY_MARK = "\u001e";

export interface EntryOptions {
  /** Random, new for every start: a line without it is not the script's (a service may log what others send it). */
  token: string;
  /** Waits until these are in force; `{}` where the engine's host is out of reach. */
  limits: Limits;
  /** Then gives up with exit code 125. */
  waitSeconds: number;
  /**
   * What the service is to get when the engine sends SIGTERM. Anything but SIGTERM makes the script stay as a parent
   * that translates; with the engine's host in reach give SIGTERM and use EngineHost.kill.
   */
  stopSignal: string;
  /** Words of the check; undefined: no loop (checks come through EngineHost.exec or the gateway). */
  health?: { words: string[]; intervalMs: number; timeoutMs: number; startIntervalMs: number };
  /** The image's entrypoint and arguments, or the compose file's. */
  command: string[];
}

export type EntryMessage =
  /** Once, just before the service's program begins: what the kernel says of its process. */
  | {
      type: "start";
      uid: number;
      gid: number;
      noNewPrivileges: boolean;
      /** Effective capabilities, as a bit mask in hexadecimal. */
      capabilities: string;
      seccomp: boolean;
      /** By which cgroup version the limits were seen; null: none were waited for. */
      cgroup: "v1" | "v2" | null;
    }
  /** The limits did not come into force in time: nothing was started. */
  | { type: "unlimited"; waitedSeconds: number }
  /** One run of the health check. */
  | { type: "health"; exitCode: number; timedOut: boolean; output: string };
