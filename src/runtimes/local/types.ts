/**
 * Internal interfaces of the local runtime: processes (launch, users, cgroups, watchdog) and services (providers, apps,
 * probes).
 */
import type { Readable } from "node:stream";
import type { Limits, ServiceDefinition } from "../../stack/definition/types.js";
import type { LogSink } from "../../stack/logs/types.js";
import type { AppliedLimits, Enforcement, ServiceExit, ServiceStats } from "../../stack/runtime.js";
import type { AppRecipe } from "./image/recipe.js";
import type { NetworkNamespace } from "./network/namespace.js";
import type { SandboxMount, SandboxView } from "./process/sandbox.js";
import type { ServerName } from "./servers/images.js";

/** The user that runs a service. A non-root server runs all services as its own user. */
export interface ServiceUser {
  uid: number;
  gid: number;
  name: string;
  enforcement: Enforcement;
  /** Groups of shared volumes. Files that it makes are then writable for its groups. */
  groups?: readonly number[];
  /** The user may write into the project's folder. Default false. */
  mayWrite?: true;
}

/** A service with what the local runtime derived for it. */
export interface TranslatedService extends ServiceDefinition {
  /** Absent for providers and for services with `x-local.command`. */
  recipe?: AppRecipe;
  /** A server of the machine that replaces the image. */
  server?: ServerName;
  /** The image whose version the service asks for: its own, or that of its Dockerfile. */
  baseImage?: string;
}

export interface ProcessSpec {
  projectId: string;
  service: string;
  generation: number;
  /** Argument vector; argv[0] is an absolute path. No shell. */
  argv: string[];
  cwd: string;
  /** The complete environment; nothing is inherited. */
  env: Record<string, string>;
  user: ServiceUser;
  limits: Limits;
  sink: LogSink;
  /** Standard input: bytes, or a stream that is passed on until it ends. Default: /dev/null. */
  stdin?: Buffer | Readable;
  /** The project's folder and its part of the state directory; they stay visible when services have namespaces. */
  visible?: readonly string[];
  /**
   * Programs that the server chose: the folders around those below a home folder stay visible. Default: none, because a
   * project can name any program and any PATH.
   */
  programs?: readonly string[];
  /** Folders that take the place of others in its namespaces. */
  mounts?: readonly SandboxMount[];
  /** Files that replace the machine's own in its namespaces: the path of each, and the path inside. */
  files?: Readonly<Record<string, string>>;
  /** The network of its stack. Default: the machine's. */
  network?: NetworkNamespace;
}

/** A process group in its cgroup. */
export interface ManagedProcess {
  readonly pid: number;
  readonly startedAt: number;
  /** Uid of the running process as the kernel reports it; null on platforms that do not report it. */
  effectiveUid(): number | null;
  readonly exited: Promise<ServiceExit>;
  /**
   * Sends a signal to the main process (SIGTERM by default), waits for the grace period, then sends SIGKILL to the
   * whole group and cgroup. Resolves when no process is left.
   */
  stop(options: { graceMs: number; signal?: string }): Promise<ServiceExit>;
  setLimits(limits: Limits): Promise<AppliedLimits>;
  readLimits(): Promise<AppliedLimits>;
  stats(): Promise<ServiceStats>;
  /**
   * Pauses all its processes. On failure none is paused.
   * @throws UNSUPPORTED, SERVICE_NOT_STARTED
   */
  pause(): Promise<void>;
  /** Resumes all its processes. Idempotent. */
  resume(): Promise<void>;
}

/**
 * Runs a command to its end (initdb, pip, npm, a CMD health check) as a service's user: inside a running instance, or
 * in its own cgroup, which is removed at its end.
 */
export interface RunSpec {
  argv: string[];
  cwd: string;
  env: Record<string, string>;
  user: ServiceUser;
  signal: AbortSignal;
  timeoutMs: number;
  /** Receives the output line by line; without it, output is only kept in the result (at most 64 KiB). */
  sink?: LogSink;
  /** Runs in the cgroup of this running instance, under its limits. */
  inside?: ManagedProcess;
  /** Without an instance: the service of the command, for the cgroup's name, and that service's limits. */
  project?: string;
  service?: string;
  limits?: Limits;
  /** As for `spawn`. Absent: the command has no separate namespaces. */
  visible?: readonly string[];
  mounts?: readonly SandboxMount[];
  /** The program rejects a user id without a name. Default false. */
  named?: boolean;
  stdin?: string | Buffer | Readable;
  /** Receives raw chunks; a returned promise pauses the stream. */
  onOutput?(stream: "stdout" | "stderr", chunk: Buffer): void | Promise<void>;
  /** Milliseconds between SIGTERM and SIGKILL on cancellation. Default 0: SIGKILL immediately. */
  graceMs?: number;
}

export interface RunResult {
  exitCode: number | null;
  signal: string | null;
  timedOut: boolean;
  /** The kernel killed it because of the memory limit of its cgroup, or of the instance that it joined. */
  oomKilled: boolean;
  /** Raw stdout and stderr, at most 64 KiB. */
  output: string;
}

/** `createProcessHost(options)` in src/runtimes/local/process-host.ts. */
export interface ProcessHost {
  /** Allocates and remembers one unprivileged uid, unique on this machine, for each project and service when root. */
  userFor(projectId: string, service: string): Promise<ServiceUser>;
  /** Allocates and remembers a group for a volume that several services share; null without separate users. */
  groupFor(projectId: string, volume: string): Promise<number | null>;
  /**
   * The path at which a service sees a folder that is mounted at `target` of its container; null when it cannot be
   * shown there.
   * @param needed folders and programs of this machine that the service needs
   */
  mountPlace(target: string, needed: readonly string[]): Promise<string | null>;
  /** Whether a service with this view does not see the path, because its namespaces hide a folder above it. */
  hides(path: string, view: SandboxView): boolean;
  /**
   * A separate network for the services of a stack.
   * @returns null when they share the machine's
   * @throws UNSUPPORTED when the operator requires separate networks and this machine cannot have them
   */
  openNetwork?(): Promise<NetworkNamespace | null>;
  /** Whether stacks have separate networks, or why not. */
  networkEnforcement?(): Promise<Enforcement>;
  spawn(spec: ProcessSpec): Promise<ManagedProcess>;
  run(spec: RunSpec): Promise<RunResult>;
  /** The limits that cgroups can enforce here, detected by a trial. */
  limitsEnforcement(): Promise<Enforcement>;
  usersEnforcement(): Enforcement;
  /** Whether services have separate namespaces, or why not. */
  sandboxEnforcement(): Enforcement;
  capacity(): { cpus: number; memory_mb: number };
  /**
   * Whether the user can enter and read `path`. Checks every component.
   * @param shown a folder above the path, or the path, that a service's namespaces show. Where services have namespaces
   * and the folder is below a hidden one (a home folder), the folders above it do not count.
   */
  accessible(path: string, user: ServiceUser, mode: "read" | "execute", shown?: string): Promise<boolean>;
  /** Kills remaining processes, removes cgroups, and ends the watchdog. */
  close(): Promise<void>;
}

export type NetworkChoice = "auto" | "isolated" | "shared";

export interface ProcessHostOptions {
  /** The server's state directory. */
  stateDir: string;
  /** Replacements for /sys/fs/cgroup and /proc, for tests. */
  cgroupRoot?: string;
  procRoot?: string;
  /** False disables namespaces of services although the machine supports them. Default true. */
  namespaces?: boolean;
  /** Whether stacks have separate networks: where the machine supports it, always, or never. Default: `auto`. */
  network?: NetworkChoice;
  /** Receives warnings for the operator. */
  warn(message: string): void;
}
