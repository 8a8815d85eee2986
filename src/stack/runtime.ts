/**
 * The port between the domain and whatever runs services. The domain decides order, readiness,
 * restarts and limits; a runtime starts one service, tells how it ends, probes, measures and stops it.
 */
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
  /** One line each: what was found, what is missing and how to get it. */
  findings: { check: string; ok: boolean; message: string; fix?: string }[];
  /** What this runtime can hold here. */
  isolation: { limits: Enforcement; users: Enforcement; network: Enforcement; filesystem: Enforcement };
}

export interface ServiceExit {
  exitCode: number | null;
  signal: string | null;
  oomKilled: boolean;
  /** Epoch milliseconds. */
  at: number;
}

export interface ProbeResult {
  healthy: boolean;
  /** What was seen, in one line; untrusted text, not yet redacted. */
  message: string;
  latencyMs: number;
  /** Which check really ran, e.g. `http GET 127.0.0.1:8000/health` or `exec pg_isready -U x`. */
  check: string;
  /** True when the check is a command whose program does not exist in the service: waiting does not help. */
  programMissing?: true;
}

/** One published address. */
export interface Endpoint {
  service: string;
  container_port: number;
  /** Where it listens. `0.0.0.0`: on every address of this machine, open to the network. */
  host: "127.0.0.1" | "0.0.0.0";
  host_port: number;
}

export interface OpenStackRequest {
  projectId: string;
  /** Absolute, real path of the project. */
  folder: string;
  definition: StackDefinition;
  /** Private directory of this project below the state directory; exists, mode 0711. */
  stateDir: string;
  signal: AbortSignal;
  /** Of the client who asked for it. Default: the server's own. */
  settings?: StackSettings;
  /** Retries, pulls, installations, warnings: becomes an event. */
  notice(notice: RuntimeNotice): void;
}

export interface RuntimeNotice {
  type: "retrying" | "installing" | "pulling" | "warning" | "port_reassigned";
  service?: string;
  message: string;
}

export interface StartServiceRequest {
  service: ServiceDefinition;
  /** Counts the instances of this service, from 1. */
  generation: number;
  limits: Limits;
  sink: LogSink;
  signal: AbortSignal;
  /** For progress: `installing dependencies`, `starting process`. */
  phase(message: string): void;
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
  /** Receives raw chunks, in order per stream; a returned promise holds the command's output back. */
  onOutput(stream: "stdout" | "stderr", chunk: Buffer): void | Promise<void>;
  /** Aborting ends the whole process tree of the command; `exec` then resolves with what ended it. */
  signal: AbortSignal;
}

/** How a command ended. */
export interface ExecResult {
  exitCode: number | null;
  signal: string | null;
  oomKilled: boolean;
}

/** A fresh instance of a definition that runs one command in place of the service's own, without published ports. */
export type OneOffRequest = StartServiceRequest & { exec: Omit<ExecRequest, "signal"> };

/** Volumes of one project; the stack may run (its writers paused) for a copy, never for a restore. */
export interface VolumesRequest {
  projectId: string;
  /** Private directory of the project below the state directory. */
  stateDir: string;
  /** Names of the definition's volumes. */
  volumes: readonly string[];
  signal: AbortSignal;
  /** Of the client who asks. Default: the server's own. */
  settings?: StackSettings;
}

export interface CopyVolumesRequest extends VolumesRequest {
  /** Most bytes that all copies together may take. */
  maxBytes: number;
}

/** Begins the note of a service whose file sets a PORT on which it cannot be reached. */
export const PORT_OVERRIDDEN = "The compose file sets PORT to";

/** A service's running instance. */
export interface RuntimeService {
  readonly service: string;
  readonly generation: number;
  /** Epoch milliseconds. */
  readonly startedAt: number;
  /** Host process id where there is one. */
  readonly pid: number | null;
  /** As seen from inside the running service, not from its definition (S1). */
  readonly user: { uid: number | null; name: string; enforcement: Enforcement };
  /** Things the caller should know (runs on a copy, command rewritten, …). */
  readonly notes: string[];
  /** The check that its image brings, with the file's timings where it gives them. Absent: none, or the runtime has no images. */
  readonly imageHealthcheck?: Healthcheck;
  /** Settles once, when the instance has ended for whatever reason; never rejects. */
  readonly exited: Promise<ServiceExit>;
  /** Stop signal, grace, then kill of everything the instance started. Idempotent. */
  stop(options: { graceMs: number; signal?: string }): Promise<ServiceExit>;
  /** One health check; a failing check is a result, not an error. Bounded by `healthcheck.timeoutMs` and the signal. */
  probe(healthcheck: Healthcheck, signal: AbortSignal): Promise<ProbeResult>;
  setLimits(limits: Limits): Promise<AppliedLimits>;
  readLimits(): Promise<AppliedLimits>;
  stats(): Promise<ServiceStats>;
  /**
   * Runs a command in this instance: the same files, user, environment, network and limits. Nothing of it is left when
   * the promise settles.
   * @throws COMMAND_NOT_FOUND, SERVICE_NOT_STARTED when the instance has ended
   */
  exec(request: ExecRequest): Promise<ExecResult>;
  /** Halts every process of the instance until `resume`. @throws UNSUPPORTED where the runtime cannot; nothing is halted then */
  pause(): Promise<void>;
  /** Idempotent. */
  resume(): Promise<void>;
}

/** What a runtime holds for one running stack. */
export interface RuntimeStack {
  readonly runtime: RuntimeName;
  /** Published addresses, valid as soon as `open` returned; read again after every service start (a port may be reassigned). */
  endpoints(): Endpoint[];
  /** Starts one instance; resolves when its process runs (not when healthy). On failure nothing of it is left. */
  startService(request: StartServiceRequest): Promise<RuntimeService>;
  /**
   * Runs one command in a fresh instance of the definition, which is removed afterwards.
   * Aborting `signal` ends it; the promise then resolves with what ended it.
   */
  runOneOff(request: OneOffRequest): Promise<ExecResult>;
  /** Settles when the runtime itself died; never rejects. Every service is lost then. */
  readonly lost: Promise<{ reason: string }>;
  /** Takes a changed definition before changed services are replaced (reconcile). */
  update(definition: StackDefinition): Promise<void>;
  /** Releases everything but data: ports, cgroups, sessions. Services must have been stopped; those that were not are killed. */
  close(): Promise<void>;
}

export interface StackRuntime {
  readonly name: RuntimeName;
  /** What can be run here, by this project or by any. Costs at most a second; touches nothing. */
  check(project?: string, settings?: StackSettings): Promise<RuntimeStatus>;
  open(request: OpenStackRequest): Promise<RuntimeStack>;
  /** Deletes named volumes of a project that is not running. */
  removeVolumes(projectId: string, stateDir: string, volumes: string[]): Promise<void>;
  /**
   * Copies named volumes into an empty private directory, in a form that only this runtime reads again.
   * @returns bytes of each volume that has data; volumes without data are left out
   * @throws SNAPSHOT_TOO_LARGE before or while copying more than `maxBytes`; what was copied is left to the caller to remove
   */
  copyVolumes(request: CopyVolumesRequest, archiveDir: string): Promise<Record<string, number>>;
  /**
   * Replaces the content of named volumes of a project that is not running; a volume without an archive becomes empty.
   * A failure before the last step leaves every volume as it was.
   */
  restoreVolumes(request: VolumesRequest, archiveDir: string): Promise<void>;
  /** The machine's size: no limit above it is accepted. */
  capacity(): { cpus: number; memory_mb: number };
  /** Ends what an earlier server left behind (after SIGKILL of it and its watchdog), and all helpers of this one. */
  close(): Promise<void>;
}
