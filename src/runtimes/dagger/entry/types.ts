/** Input and output of the entry script. */
import type { Limits } from "../../../stack/definition/types.js";

/** Where the script is mounted, read-only. */
export const ENTRY_PATH = "/.stackwarden/entry";

/**
 * Variables that the engine sets in every container, for programs that report to it, overwriting variables of the same
 * name. A service is not such a program: it gets its own values, which are passed under other names, or none.
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
/** Prefix for the name of such a variable when the service defines its own. */
export const OWN_PREFIX = "STACKWARDEN_OWN_";

/** Begins each message of the script on stderr, so that the log reader can remove it. */
export const ENTRY_MARK = "\u001e";

export interface EntryOptions {
  /**
   * Random, different for every start. A line without it is not from the script (a service may log text that it
   * receives).
   */
  token: string;
  /** Limits to wait for; `{}` when the engine's host is not reachable. */
  limits: Limits;
  /** Time limit for the limits, after which the script exits with code 125. */
  waitSeconds: number;
  /**
   * Signal for the service when the engine sends SIGTERM. With any other signal than SIGTERM the script stays as a
   * parent process that translates it. When the engine's host is reachable, use SIGTERM and EngineHost.kill.
   */
  stopSignal: string;
  /** Words of the check; undefined: no loop (checks run through EngineHost.exec or the gateway). */
  health?: { words: string[]; intervalMs: number; timeoutMs: number; startIntervalMs: number };
  /** Mount targets of the named volumes. The script reports which of them hold no file. */
  volumes?: string[];
  /** The image's entrypoint and arguments, or the compose file's. */
  command: string[];
}

export type EntryMessage =
  /** Sent once, just before the service's program begins: the process's state as reported by the kernel. */
  | {
      type: "start";
      uid: number;
      gid: number;
      noNewPrivileges: boolean;
      /** Effective capabilities, as a bit mask in hexadecimal. */
      capabilities: string;
      seccomp: boolean;
      /** The cgroup version in which the limits appeared; null when there were no limits to wait for. */
      cgroup: "v1" | "v2" | null;
      /** Indexes of the volumes that hold no file. */
      empty: number[];
    }
  /** The limits did not take effect in time, and the program was not started. */
  | { type: "unlimited"; waitedSeconds: number }
  /** One run of the health check. */
  | { type: "health"; exitCode: number; timedOut: boolean; output: string };
