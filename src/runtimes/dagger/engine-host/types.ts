/** Operations on the machine (or in the container) that runs a Dagger engine: limits, usage, commands, signals. */
import type { Limits } from "../../../stack/definition/types.js";
import type { AppliedLimits, Enforcement, ExecRequest, ExecResult, ServiceStats } from "../../../stack/runtime.js";

/**
 * Environment variable of every service's container with a random value for each start. It identifies the container
 * among all containers of the engine.
 */
export const INSTANCE_VARIABLE = "STACKWARDEN_INSTANCE";

export interface HostExec {
  argv: string[];
  /** `uid` or `uid:gid`. Default: the service's own user. */
  user?: string;
  timeoutMs: number;
  signal: AbortSignal;
}

export interface HostExecResult {
  /** Null when it did not end in time or the caller aborted; all processes in its group were killed. */
  exitCode: number | null;
  /** Raw stdout and stderr, at most 64 KB; untrusted. */
  output: string;
}

/** State of the service's first process, as reported by the kernel. */
export interface HostUser {
  uid: number;
  gid: number;
  /** True when its processes cannot gain privileges through set-uid programs. */
  noNewPrivileges: boolean;
  /** True when it has at least one capability. */
  withoutCapabilities: boolean;
}

export interface Pause {
  /** Lets the processes continue. Idempotent, never rejects. */
  release(): Promise<void>;
}

export interface EngineHost {
  /** For example `docker exec dagger-engine-v0.21.8` or `this machine`; the reason when the host is not reachable. */
  readonly description: string;
  /**
   * `enforced`, or `none` with the reason. When it is `none`, find, exec and kill throw UNSUPPORTED; the others return
   * nulls, with the reason where the result has a field for it.
   */
  readonly enforcement: Enforcement;
  /** Size of the engine's machine, or of the container it runs in; null when not reachable. */
  readonly capacity: { cpus: number; memory_mb: number } | null;
  /**
   * Waits for the running container whose environment contains INSTANCE_VARIABLE=<instance>.
   * @returns its runc id
   * @throws SERVICE_START_FAILED after 30 s, OPERATION_CANCELLED, RUNTIME_UNAVAILABLE
   */
  find(instance: string, signal: AbortSignal): Promise<string>;
  /**
   * Called for a container that the engine reports and the host does not list. Returns true when several listings of
   * the host contained no container of this server: the engine runs on another machine, and no limit is enforced from
   * then on.
   */
  elsewhere(): boolean;
  /**
   * Sets every limit (a missing one becomes unlimited) repeatedly until the service's own cgroup shows it: a value that
   * is written while runc still creates the container is overwritten.
   * @returns the limits read back
   */
  apply(id: string, limits: Limits): Promise<AppliedLimits>;
  read(id: string): Promise<AppliedLimits>;
  stats(id: string): Promise<ServiceStats>;
  /** Null when it is not visible. */
  user(id: string): Promise<HostUser | null>;
  /**
   * Waits until the service's own program runs, that is, the init has started it and the entry script has executed it.
   * @returns the user of the program; null when it is not visible
   * @throws SERVICE_NOT_STARTED when the container has ended, OPERATION_CANCELLED, RUNTIME_UNAVAILABLE
   */
  begun(id: string, signal: AbortSignal): Promise<HostUser | null>;
  /** Runs a command inside the running service, with its environment and no new privileges. */
  exec(id: string, run: HostExec): Promise<HostExecResult>;
  /**
   * Runs a command inside the running service with streams for its input and output. No process of the command is left
   * when the promise settles.
   * @throws COMMAND_NOT_FOUND, SERVICE_NOT_STARTED, UNSUPPORTED, RUNTIME_UNAVAILABLE
   */
  stream(id: string, service: string, request: ExecRequest): Promise<ExecResult>;
  /**
   * Pauses all processes of a container. They also continue when this server ends, however it ends.
   * @throws UNSUPPORTED when the host is not reachable or the container cannot be paused; then it continues to run
   */
  pause(id: string): Promise<Pause>;
  /**
   * Kills running containers of these instances, which an earlier session left behind, and waits until they are gone.
   * @throws STOP_FAILED when one still runs after 20 s, UNSUPPORTED, OPERATION_CANCELLED, RUNTIME_UNAVAILABLE
   */
  end(instances: readonly string[], signal: AbortSignal): Promise<void>;
  /**
   * Sends a signal (`SIGINT`, the compose file's `stop_signal`) to the container's init, which forwards it to the
   * service.
   */
  kill(id: string, signal: string): Promise<void>;
  /** Ends the helper process. */
  close(): Promise<void>;
}

export interface EngineHostOptions {
  /** Value of `_EXPERIMENTAL_DAGGER_RUNNER_HOST`; null: the CLI's default, a container that it starts. */
  runnerHost: string | null;
  warn(message: string): void;
  signal: AbortSignal;
  /** Environment of the started programs (`docker`, `kubectl`, …). Default: the server's. */
  env?: NodeJS.ProcessEnv;
}
