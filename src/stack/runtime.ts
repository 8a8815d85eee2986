/**
 * The interface between the domain and the runtimes. The domain decides order, readiness, restarts and limits. A
 * runtime starts, checks, measures and stops single services and reports their exit.
 */
import type { Readable } from "node:stream";
import type { Healthcheck, Limits, ServiceDefinition, StackDefinition } from "./definition/types.js";
import type { LogSink } from "./logs/types.js";
import type { AppliedLimits, Enforcement, ServiceStats } from "./schemas/limits.js";
import type { StackSettings } from "./settings.js";
import type { RuntimeName } from "./vocabulary.js";

export type { AppliedLimits, Enforcement, EnforcementLevel, ServiceStats } from "./schemas/limits.js";
export type { RuntimeName } from "./vocabulary.js";

export interface RuntimeStatus {
  runtime: RuntimeName;
  available: boolean;
  /**
   * What a start would download first, in a sentence. `auto` does not choose such a runtime while another is available.
   */
  downloads?: string;
  /** Results of the availability checks, one line each, with a fix for each missing prerequisite. */
  findings: { check: string; ok: boolean; message: string; fix?: string }[];
  /** What this runtime can enforce on this machine. */
  isolation: { limits: Enforcement; users: Enforcement; network: Enforcement; filesystem: Enforcement };
}

/** The part of a `RuntimeStatus` that decides whether a stack can start. */
export type Availability = Pick<RuntimeStatus, "available" | "downloads" | "findings">;

export interface ServiceExit {
  exitCode: number | null;
  signal: string | null;
  oomKilled: boolean;
  /** Epoch milliseconds. */
  at: number;
  /** The cause that the runtime observed and what helps, as the rest of a sentence. */
  reason?: string;
}

export type WebProtocol = "http" | "https";

export interface ProbeResult {
  healthy: boolean;
  /** Result of the check in one line. Untrusted text that is not redacted yet. */
  message: string;
  latencyMs: number;
  /** The check that ran, for example `http GET 127.0.0.1:8000/health` or `exec pg_isready -U x`. */
  check: string;
  /** True when the check is a command whose program does not exist in the service: waiting does not help. */
  programMissing?: true;
  /** True when the service itself answered that it is starting, as PostgreSQL does during recovery: waiting helps. */
  starting?: true;
}

/** One published address. */
export interface Endpoint {
  service: string;
  container_port: number;
  /** Listening address. `0.0.0.0`: all addresses of this machine, so the port is open to the network. */
  host: "127.0.0.1" | "0.0.0.0";
  host_port: number;
  /** Absent for TCP. */
  protocol?: "udp";
}

export interface OpenStackRequest {
  projectId: string;
  /** Absolute, real path of the project. */
  folder: string;
  definition: StackDefinition;
  /** Private directory of this project below the state directory; exists, mode 0711. */
  stateDir: string;
  signal: AbortSignal;
  /** Settings of the client that requested the start. Default: the server's settings. */
  settings?: StackSettings;
  /** Reports retries, pulls, installations and warnings as events. */
  notice(notice: RuntimeNotice): void;
}

export interface RuntimeNotice {
  type: "retrying" | "installing" | "pulling" | "warning" | "port_reassigned";
  service?: string;
  message: string;
}

export interface PrepareServiceRequest {
  service: ServiceDefinition;
  /** Number of the instance that follows. */
  generation: number;
  limits: Limits;
  sink: LogSink;
  signal: AbortSignal;
  /** For progress: `installing dependencies`, `starting process`. */
  phase(message: string): void;
}

export interface StartServiceRequest extends PrepareServiceRequest {
  /** Counts the instances of this service, from 1. */
  generation: number;
  /** What `prepareService` of the same stack returned for this start. Absent: the start prepares the service. */
  prepared?: unknown;
}

export interface TerminalSize {
  columns: number;
  rows: number;
}

/** A terminal of the caller, to which a command is attached. */
export interface CommandTerminal {
  size(): TerminalSize;
  /** What the user types. */
  readonly input: Readable;
  /** @returns a function that removes the listener */
  onResize(listener: () => void): () => void;
}

/** One command in the environment of a service. */
export interface ExecRequest {
  /** Argument vector; never empty. */
  command: readonly string[];
  /** Added to the service's own environment. */
  environment?: Record<string, string>;
  /** Absolute path inside the service. Default: the service's working directory. */
  workdir?: string;
  /** Bytes for standard input, which is closed after them. Default: empty. */
  stdin?: Buffer;
  /**
   * Run the command in a terminal. Its output then arrives as stdout, and `stdin` has no effect.
   * @throws UNSUPPORTED with `details.terminal: false` where the runtime has no terminals
   */
  terminal?: CommandTerminal;
  /** Receives raw chunks, in order per stream. A returned promise applies back-pressure to the command's output. */
  onOutput(stream: "stdout" | "stderr", chunk: Buffer): void | Promise<void>;
  /** Aborting ends the whole process tree of the command; `exec` then resolves with its exit. */
  signal: AbortSignal;
}

/** A file of the project that an instance gets, or that it no longer has. */
export interface FileCopy {
  /** Absolute path in the instance. */
  target: string;
  /** Path relative to `within`, which is an absolute, real path; null: the file is removed. */
  source: { path: string; within: string } | null;
}

/** A file that was not copied into an instance. */
export interface SkippedCopy {
  target: string;
  /** `private`: secrets are written in it, and the engine would keep them. `gone`: it no longer exists. */
  reason: "private" | "gone";
}

/** How a command ended. */
export interface ExecResult {
  exitCode: number | null;
  signal: string | null;
  oomKilled: boolean;
}

/** Result of a command that its signal ended, also before its program began. */
export const KILLED_RESULT: ExecResult = { exitCode: null, signal: "SIGKILL", oomKilled: false };

/** A fresh instance of a definition that runs one command in place of the service's own, without published ports. */
export interface OneOffRequest extends StartServiceRequest {
  exec: Omit<ExecRequest, "signal">;
  /** The definition that has the service. Default: the stack's; it lacks services that do not belong to the stack. */
  definition?: StackDefinition;
}

/** Volumes of one project; the stack may run (its writers paused) for a copy, never for a restore. */
export interface VolumesRequest {
  projectId: string;
  /** Private directory of the project below the state directory. */
  stateDir: string;
  /** Names of the definition's volumes. */
  volumes: readonly string[];
  signal: AbortSignal;
  /** Settings of the calling client. Default: the server's settings. */
  settings?: StackSettings;
}

export interface CopyVolumesRequest extends VolumesRequest {
  /** Maximum total bytes of all copies. */
  maxBytes: number;
}

/** Beginning of the note of a service that does not run in the project's folder itself. */
export const RUNS_ON_COPY = "Runs on a copy of the project's folder";

/** Prefix of the note for a service whose compose file sets a PORT on which the service is unreachable. */
export const PORT_OVERRIDDEN = "The compose file sets PORT to";

/** A service's running instance. */
export interface RuntimeService {
  readonly service: string;
  readonly generation: number;
  /** Epoch milliseconds. */
  readonly startedAt: number;
  /** Process id on the host; null when there is none. */
  readonly pid: number | null;
  /** The user as seen from inside the running service, not from its definition. */
  readonly user: { uid: number | null; name: string; enforcement: Enforcement };
  /** Notes for the caller, for example that the service runs on a copy or that its command was rewritten. */
  readonly notes: string[];
  /**
   * The image's health check, with timings of the compose file where present. Absent when the image has no check or the
   * runtime does not use images.
   */
  readonly imageHealthcheck?: Healthcheck;
  /**
   * The command line of the instance, which the image or its Dockerfile may have declared. Absent when it is unknown.
   */
  readonly command?: readonly string[];
  /**
   * Named volumes of the definition that held no file before the instance's program began; null when this could not be
   * observed. Never rejects.
   */
  readonly emptyVolumes: Promise<readonly string[] | null>;
  /**
   * Deletes the volumes that were created for this instance. The instance must have ended; a volume that another
   * container uses stays. Absent on runtimes that initialise databases themselves, or cannot delete a volume of an open
   * stack.
   * @returns names of the deleted volumes in the definition; the paths of those that only the image declares
   */
  removeNewVolumes?(): Promise<string[]>;
  /** Resolves once when the instance has ended, for any reason. Never rejects. */
  readonly exited: Promise<ServiceExit>;
  /** Sends the stop signal, waits `graceMs` milliseconds, then kills all processes of the instance. Idempotent. */
  stop(options: { graceMs: number; signal?: string }): Promise<ServiceExit>;
  /** One health check; a failing check is a result, not an error. Bounded by `healthcheck.timeoutMs` and the signal. */
  probe(healthcheck: Healthcheck, signal: AbortSignal): Promise<ProbeResult>;
  /**
   * Determines with one request whether a published container port speaks HTTP. Null when it does not, or does not
   * answer in a fraction of a second. Never rejects.
   */
  webProtocol(containerPort: number, signal: AbortSignal): Promise<WebProtocol | null>;
  setLimits(limits: Limits): Promise<AppliedLimits>;
  readLimits(): Promise<AppliedLimits>;
  stats(): Promise<ServiceStats>;
  /**
   * Runs a command in this instance: the same files, user, environment, network and limits. No process of the command
   * remains when the promise settles.
   * @throws COMMAND_NOT_FOUND, SERVICE_NOT_STARTED when the instance has ended
   */
  exec(request: ExecRequest): Promise<ExecResult>;
  /**
   * Copies files into the instance, as its user, and removes others. Absent where an instance uses the project's files
   * themselves or cannot be changed.
   * @returns the files that were not copied although nothing failed
   * @throws when a file could not be copied or removed; others may have been
   */
  copyFiles?(files: readonly FileCopy[]): Promise<readonly SkippedCopy[]>;
  /**
   * Pauses all processes of the instance until `resume`. The caller begins no command in it meanwhile.
   * @throws UNSUPPORTED when the runtime cannot pause; then no process is paused
   */
  pause(): Promise<void>;
  /** Idempotent. */
  resume(): Promise<void>;
}

/** One running stack on a runtime. */
export interface RuntimeStack {
  readonly runtime: RuntimeName;
  /**
   * Published addresses, valid after `open` resolves. Read them again after every service start, because a port may be
   * reassigned.
   */
  endpoints(): Endpoint[];
  /**
   * Pulls or builds the image of a service, or installs its dependencies, while the services that it depends on start.
   * Absent where a start does all of it.
   * @returns for the start that follows
   */
  prepareService?(request: PrepareServiceRequest): Promise<unknown>;
  /** True: an image can be based on that of a dependency, which is prepared before. Default false. */
  readonly preparesInOrder?: boolean;
  /**
   * Starts one instance; resolves when its process runs, not when it is healthy. On failure, nothing of the instance
   * remains.
   */
  startService(request: StartServiceRequest): Promise<RuntimeService>;
  /**
   * Runs one command in a fresh instance of the definition, which is removed afterwards. Aborting `signal` ends the
   * command; the promise then resolves with its exit.
   */
  runOneOff(request: OneOffRequest): Promise<ExecResult>;
  /** Resolves when the runtime itself has died; every service is lost then. Never rejects. */
  readonly lost: Promise<{ reason: string }>;
  /**
   * Applies a changed definition before changed services are replaced (reconcile).
   * @returns the reason by name, of services that have to be replaced although their own definition is unchanged
   */
  update(definition: StackDefinition): Promise<Readonly<Record<string, string>>>;
  /**
   * Releases everything but data: ports, cgroups, sessions. Services should be stopped before; running ones are killed.
   */
  close(): Promise<void>;
}

export interface CheckServicesRequest {
  definition: StackDefinition;
  /** Absolute, real path of the project. */
  folder: string;
  /** Settings of the calling client. Default: the server's settings. */
  settings?: StackSettings;
}

export interface CheckPortsRequest {
  definition: StackDefinition;
  /** Settings of the calling client. Default: the server's settings. */
  settings?: StackSettings;
}

/** What would run one service. */
export interface ServiceCheck {
  service: string;
  /** In one line, for example `Node.js 22.1.0 (/usr/bin/node), npm`. Null when the service cannot run here. */
  runs: string | null;
  /** What a start would fail for, each with the step that helps. */
  missing: { message: string; fix: string }[];
  notes: string[];
}

export interface StackRuntime {
  readonly name: RuntimeName;
  /** Checks whether the runtime is available, for this project or in general. Takes at most 1 s and changes nothing. */
  check(project?: string, settings?: StackSettings): Promise<RuntimeStatus>;
  /** As `check`, with findings only when it is not available. Absent where `check` costs no more. */
  availability?(project?: string, settings?: StackSettings): Promise<Availability>;
  /** Determines what would run each service. Absent on runtimes that run images. Starts and keeps nothing. */
  checkServices?(request: CheckServicesRequest): Promise<ServiceCheck[]>;
  /**
   * Determines the host ports that a start would use now for the published ports of a definition. Keeps none of them.
   * @returns the published addresses
   * @throws PORT_IN_USE with every busy port, its owner and free ones; UNSUPPORTED
   */
  checkPorts?(request: CheckPortsRequest): Promise<Endpoint[]>;
  open(request: OpenStackRequest): Promise<RuntimeStack>;
  /** Deletes named volumes of a project that is not running. */
  removeVolumes(projectId: string, stateDir: string, volumes: string[]): Promise<void>;
  /**
   * Deletes everything that the runtime keeps of a project that is not running: all its volumes, installed
   * dependencies, images built for it, and what an earlier server left.
   * @returns sentences about data that stays, because its engine did not answer in an earlier call either
   * @throws when something cannot be deleted; a later call deletes the rest
   */
  removeProject(projectId: string, stateDir: string): Promise<readonly string[]>;
  /**
   * Copies named volumes into an empty private directory, in a format that only this runtime can read.
   * @returns bytes of each volume that has data; volumes without data are left out
   * @throws SNAPSHOT_TOO_LARGE before or while copying more than `maxBytes`; the caller removes partial copies
   */
  copyVolumes(request: CopyVolumesRequest, archiveDir: string): Promise<Record<string, number>>;
  /**
   * Replaces the content of named volumes of a project that is not running; a volume without an archive becomes empty.
   * A failure before the last step leaves every volume as it was.
   */
  restoreVolumes(request: VolumesRequest, archiveDir: string): Promise<void>;
  /** The machine's size. Limits above it are refused. */
  capacity(): { cpus: number; memory_mb: number };
  /**
   * Ends processes that an earlier server left behind (after SIGKILL of it and its watchdog), and all helpers of this
   * server.
   */
  close(): Promise<void>;
}
