/** Settings of stacks that only the operator can change. Agents cannot set them. */
import type { RuntimeName } from "./vocabulary.js";

export interface StackSettings {
  /** `auto`: the first of `RUNTIMES` that is available here. */
  runtime: "auto" | RuntimeName;
  /** Absolute real paths; a project's folder must be one of them or below. Default: the working directory, unless that is `/` or a home folder. */
  roots: string[];
  /** Default: $STACKWARDEN_STATE_DIR, else /var/lib/stackwarden as root, else the platform's user state directory. */
  stateDir: string;
  /** Refuse to start a stack whose limits are not enforced. Default false. */
  requireEnforcedLimits: boolean;
  /** Services that may run as root, `project/service` or `service`. Default none. */
  allowRoot: string[];
  /**
   * Absolute folders outside a project that its services may bind, read-only without the suffix `:rw`. Default none.
   */
  allowBinds: string[];
  /** Commands that callers may run in services: any, only those that the compose file declares (`x-commands`), or none. Default any. */
  commands: "any" | "declared" | "off";
  /** Maximum explicit restarts of one service in five minutes that did not bring it up. Default 3. */
  restartBudget: number;
  /** Milliseconds a whole stack may take to become healthy. Default 300,000. */
  startTimeoutMs: number;
  /** Milliseconds without a call on a stack after which it stops. Default: it runs until it is stopped. */
  idleStopMs?: number | undefined;
  /** Limits for the snapshots of each project. Default: 10 snapshots and 10,240 MB in total. */
  snapshots: { maxCount: number; maxBytes: number };
  /**
   * Folders of known projects by id. `engine` is the name of a Dagger engine in the configuration. `suggested` is set
   * for folders from a file of the working directory, which do not move a known project.
   */
  projects: Record<string, { folder: string; engine?: string | undefined; suggested?: true }>;
  retry: { maxRetries: number; baseDelayMs: number };
  /** `PATH`, `HOME` and the variables of version managers (`NVM_DIR`) of the client; null prototype. */
  clientEnvironment?: Record<string, string>;
  logs: { ringBytes: number; spoolBytes: number };
}
