/** The server's own configuration: flags > environment (STACKWARDEN_*) > stackwarden.yaml > defaults. Never settable by an agent. */
export interface Config {
  /** `auto`: dagger when an engine can be reached, else local. */
  runtime: "auto" | "local" | "dagger";
  /** Absolute real paths; a project's folder must be one of them or below. Default: the working directory. */
  roots: string[];
  /** Default: $STACKWARDEN_STATE_DIR, else /var/lib/stackwarden as root, else the platform's user state directory. */
  stateDir: string;
  /** Only read-only operations. Default false. */
  readOnly: boolean;
  /** Refuse to start a stack whose limits nothing enforces (C4). Default false. */
  requireEnforcedLimits: boolean;
  /** Services that may run as root, `project/service` or `service`. Default none. */
  allowRoot: string[];
  /** Explicit restarts of one service in five minutes. Default 3. */
  restartBudget: number;
  /** Milliseconds a whole stack may take to become healthy. Default 300,000. */
  startTimeoutMs: number;
  /** pino level. Default info. */
  logLevel: "fatal" | "error" | "warn" | "info" | "debug" | "trace" | "silent";
  /** Folders of known projects by id. */
  projects: Record<string, { folder: string }>;
  retry: { maxRetries: number; baseDelayMs: number };
  logs: { ringBytes: number; spoolBytes: number };
}
