/** What can be done on the machine (or in the container) that runs a Dagger engine: limits, figures, commands, signals. */
import type { Limits } from "../../../stack/definition/types.js";
import type { AppliedLimits, Enforcement, ServiceStats } from "../../../stack/runtime.js";

/** Set on every service's container, to a value that is new at every start: finds the container among all of the engine's. */
export const INSTANCE_VARIABLE = "STACKWARDEN_INSTANCE";

export interface HostExec {
  argv: string[];
  /** `uid` or `uid:gid`. Default: the service's own user. */
  user?: string;
  timeoutMs: number;
  signal: AbortSignal;
}

export interface HostExecResult {
  /** Null: it did not end in time, or the caller left; everything it started in its group was killed. */
  exitCode: number | null;
  /** stdout and stderr as they came, at most 64 KB; untrusted. */
  output: string;
}

/** As the kernel shows the service's first process. */
export interface HostUser {
  uid: number;
  gid: number;
  /** No process of it can gain privileges by a set-uid program. */
  noNewPrivileges: boolean;
  /** True when it holds not one capability. */
  withoutCapabilities: boolean;
}

export interface EngineHost {
  /** `docker exec dagger-engine-v0.21.8`, `this machine`, or why it is out of reach. */
  readonly description: string;
  /** `enforced`, or `none` with the reason. Where it is `none`, find, exec and kill throw UNSUPPORTED; the others answer nulls, with the reason where there is room for one. */
  readonly enforcement: Enforcement;
  /** The engine's own size: its machine, or the container it runs in; null where out of reach. */
  readonly capacity: { cpus: number; memory_mb: number } | null;
  /**
   * Waits for the running container whose environment carries INSTANCE_VARIABLE=<instance>; its runc id.
   * @throws SERVICE_START_FAILED after 30 s, OPERATION_CANCELLED, RUNTIME_UNAVAILABLE
   */
  find(instance: string, signal: AbortSignal): Promise<string>;
  /**
   * For a container that the engine reports and the host does not show. True when several listings of the host showed no
   * container of this server: the engine runs on another machine, and nothing is enforced from then on.
   */
  elsewhere(): boolean;
  /**
   * Sets every limit (one that is not given becomes unlimited), again and again until the service's own cgroup shows it:
   * a write while runc still creates the container is overwritten. @returns what was read back
   */
  apply(id: string, limits: Limits): Promise<AppliedLimits>;
  read(id: string): Promise<AppliedLimits>;
  stats(id: string): Promise<ServiceStats>;
  /** Null where it cannot be seen. */
  user(id: string): Promise<HostUser | null>;
  /**
   * Waits until the service's own program runs: its init has started it, and the entry script has given way to it.
   * @returns as whom; null where that cannot be seen
   * @throws SERVICE_NOT_STARTED when the container has ended, OPERATION_CANCELLED, RUNTIME_UNAVAILABLE
   */
  begun(id: string, signal: AbortSignal): Promise<HostUser | null>;
  /** Runs a command inside the running service, with its environment and no new privileges. */
  exec(id: string, run: HostExec): Promise<HostExecResult>;
  /**
   * Kills the running containers of these instances, which an earlier session left, and waits until they are gone.
   * @throws STOP_FAILED when one still runs after 20 s, UNSUPPORTED, OPERATION_CANCELLED, RUNTIME_UNAVAILABLE
   */
  end(instances: readonly string[], signal: AbortSignal): Promise<void>;
  /** Sends a signal (`SIGINT`, the compose file's `stop_signal`) to the container's init, which hands it to the service. */
  kill(id: string, signal: string): Promise<void>;
  /** The kept helper process ends. */
  close(): Promise<void>;
}

export interface EngineHostOptions {
  /** What `_EXPERIMENTAL_DAGGER_RUNNER_HOST` would hold; null: the CLI's own default, a container that it starts. */
  runnerHost: string | null;
  warn(message: string): void;
  signal: AbortSignal;
  /** Of the started programs (`docker`, `kubectl`, …). Default: the server's. */
  env?: NodeJS.ProcessEnv;
}
