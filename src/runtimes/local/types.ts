/** Inner borders of the local runtime: processes (launch, users, cgroups, watchdog) below, services (providers, apps, probes) above. */
import type { Limits } from "../../stack/definition/types.js";
import type { LogSink } from "../../stack/logs/types.js";
import type { AppliedLimits, Enforcement, ServiceExit, ServiceStats } from "../../stack/runtime.js";

/** Who a service runs as. Non-root servers run everything as themselves. */
export interface ServiceUser {
  uid: number;
  gid: number;
  name: string;
  enforcement: Enforcement;
}

export interface ProcessSpec {
  projectId: string;
  service: string;
  generation: number;
  /** Argument vector; argv[0] is an absolute path. No shell. */
  argv: string[];
  cwd: string;
  /** The whole environment; nothing is inherited. */
  env: Record<string, string>;
  user: ServiceUser;
  limits: Limits;
  sink: LogSink;
  /** Bytes for standard input, which is closed after them. Default: /dev/null. */
  stdin?: Buffer;
  /** The project's folder and its part of the state directory, which stay visible where services have namespaces. */
  visible?: readonly string[];
}

/** A process group in its cgroup. */
export interface ManagedProcess {
  readonly pid: number;
  readonly startedAt: number;
  /** Uid of the running process as the kernel reports it, null where the platform has no way. */
  effectiveUid(): number | null;
  readonly exited: Promise<ServiceExit>;
  /** Signal to the main process (SIGTERM by default), grace, then SIGKILL for the whole group and cgroup; resolves when nothing is left. */
  stop(options: { graceMs: number; signal?: string }): Promise<ServiceExit>;
  setLimits(limits: Limits): Promise<AppliedLimits>;
  readLimits(): Promise<AppliedLimits>;
  stats(): Promise<ServiceStats>;
  /** Halts every process of it. @throws UNSUPPORTED, SERVICE_NOT_STARTED; nothing is halted then */
  pause(): Promise<void>;
  /** Idempotent. */
  resume(): Promise<void>;
}

/**
 * Runs a command to its end (initdb, pip, npm, a CMD health check) as a service's user: inside a running instance, or in
 * a cgroup of its own that ends with it.
 */
export interface RunSpec {
  argv: string[];
  cwd: string;
  env: Record<string, string>;
  user: ServiceUser;
  signal: AbortSignal;
  timeoutMs: number;
  /** Output goes here line by line; otherwise it is only kept (at most 64 KiB) in the result. */
  sink?: LogSink;
  /** Join this running instance: its cgroup and limits. */
  inside?: ManagedProcess;
  /** Without an instance: which service it belongs to, for the cgroup's name, and that service's limits. */
  project?: string;
  service?: string;
  limits?: Limits;
  /** As for `spawn`. Absent: without namespaces of its own. */
  visible?: readonly string[];
  /** The program refuses a user id that has no name. Default false. */
  named?: boolean;
  stdin?: string | Buffer;
  /** Receives raw chunks; a returned promise holds its stream back. */
  onOutput?(stream: "stdout" | "stderr", chunk: Buffer): void | Promise<void>;
  /** Milliseconds between SIGTERM and SIGKILL when it is cancelled. Default 0: SIGKILL at once. */
  graceMs?: number;
}

export interface RunResult {
  exitCode: number | null;
  signal: string | null;
  timedOut: boolean;
  /** The kernel ended it because of the memory limit of its cgroup, or of the instance that it joined. */
  oomKilled: boolean;
  /** stdout and stderr as they came, at most 64 KiB. */
  output: string;
}

/** `createProcessHost(options)` in src/runtimes/local/process-host.ts. */
export interface ProcessHost {
  /** Allocates and remembers one unprivileged uid, unique on this machine, for each project and service when root. */
  userFor(projectId: string, service: string): Promise<ServiceUser>;
  spawn(spec: ProcessSpec): Promise<ManagedProcess>;
  run(spec: RunSpec): Promise<RunResult>;
  /** What cgroups can enforce here; found, not assumed. */
  limitsEnforcement(): Promise<Enforcement>;
  usersEnforcement(): Enforcement;
  /** Whether services have namespaces of their own, or why not. */
  sandboxEnforcement(): Enforcement;
  capacity(): { cpus: number; memory_mb: number };
  /** Can `uid` enter and read `path`? Walks every component. */
  accessible(path: string, user: ServiceUser, mode: "read" | "execute"): Promise<boolean>;
  /** Kills what is left and removes cgroups; ends the watchdog. */
  close(): Promise<void>;
}

export interface ProcessHostOptions {
  /** The server's state directory. */
  stateDir: string;
  /** For tests: another root than /sys/fs/cgroup and /proc. */
  cgroupRoot?: string;
  procRoot?: string;
  /** False: services get no namespaces of their own although the machine has them. Default true. */
  namespaces?: boolean;
  /** Warnings for the operator. */
  warn(message: string): void;
}
