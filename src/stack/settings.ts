/** What the operator decides about stacks. Never settable by an agent. */
import type { RuntimeName } from "./vocabulary.js";

export interface StackSettings {
  /** `auto`: the first of `RUNTIMES` that is available here. */
  runtime: "auto" | RuntimeName;
  /** Absolute real paths; a project's folder must be one of them or below. Default: the working directory, unless that is `/` or a home folder. */
  roots: string[];
  /** Default: $STACKWARDEN_STATE_DIR, else /var/lib/stackwarden as root, else the platform's user state directory. */
  stateDir: string;
  /** Refuse to start a stack whose limits nothing enforces (C4). Default false. */
  requireEnforcedLimits: boolean;
  /** Services that may run as root, `project/service` or `service`. Default none. */
  allowRoot: string[];
  /** Absolute folders outside a project that its services may bind, read-only unless `:rw` stands at the end. Default none. */
  allowBinds: string[];
  /** Commands that callers may run in services: any, only those that the compose file declares (`x-commands`), or none. Default any. */
  commands: "any" | "declared" | "off";
  /** Explicit restarts of one service in five minutes that did not bring it up. Default 3. */
  restartBudget: number;
  /** Milliseconds a whole stack may take to become healthy. Default 300,000. */
  startTimeoutMs: number;
  /** Of each project. Default: 10 snapshots of 10,240 MB together. */
  snapshots: { maxCount: number; maxBytes: number };
  /**
   * Folders of known projects by id; `engine` is the name of a Dagger engine of the configuration. `suggested`: by a file
   * of the working directory, which moves no known project.
   */
  projects: Record<string, { folder: string; engine?: string | undefined; suggested?: true }>;
  retry: { maxRetries: number; baseDelayMs: number };
  logs: { ringBytes: number; spoolBytes: number };
}
