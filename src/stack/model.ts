/**
 * The manager that operations call, and its requests. `./schemas/` declares its reports, in the form that clients
 * receive (snake_case JSON); the report types derive from those schemas. Times are ISO 8601 in UTC.
 */

import type { ErrorReport } from "../errors.js";
import type { LimitChange } from "./definition/types.js";
import type { LogQuery, LogTotals } from "./logs/types.js";
import type { CommandTerminal, Endpoint, RuntimeStatus } from "./runtime.js";
import type { StackCheck } from "./schemas/check.js";
import type { CommandOutcome } from "./schemas/commands.js";
import type { DiagnosisReport } from "./schemas/diagnosis.js";
import type { EventPage, StackEvent } from "./schemas/events.js";
import type { LogReport } from "./schemas/logs.js";
import type { LimitsOutcome, RestartOutcome, StartOutcome, StopOutcome } from "./schemas/outcomes.js";
import type { SnapshotList, SnapshotOutcome } from "./schemas/snapshots.js";
import type { HealthOutcome, StackReport, StatsReport } from "./schemas/stack.js";
import type { StackSettings } from "./settings.js";
import type { EventType, StackState } from "./vocabulary.js";

export type { CommandOutcome } from "./schemas/commands.js";
export type { EventPage, StackEvent } from "./schemas/events.js";
export type { LogReport } from "./schemas/logs.js";
export type { LimitsOutcome, RestartOutcome, StartOutcome, StopOutcome } from "./schemas/outcomes.js";
export type { ExitReport, ServiceHealth, ServiceReport } from "./schemas/service.js";
export type { SnapshotList, SnapshotOutcome } from "./schemas/snapshots.js";
export type { HealthOutcome, HealthReport, StackReport, StatsReport } from "./schemas/stack.js";
export type { EventType, ServiceState, StackState } from "./vocabulary.js";

export interface StartRequest {
  project: string;
  /** Absolute or relative to the first allowed root. Default: see `StackManager.resolveFolder`. */
  folder?: string;
  profiles?: string[];
  /** Compose files, relative to the folder. Default: COMPOSE_FILE of `.env`, else the default names. */
  files?: string[];
  /**
   * Start these services and their dependencies. Other services of a running stack stay unchanged. Default: all
   * services.
   */
  services?: string[];
  /** Services to exclude. Default: none. */
  without?: string[];
  /** Stop these services of the running stack and change nothing else: start no service, and read no file. */
  stop?: readonly string[];
  /**
   * Host ports by service (its first published port) or `service:containerPort`. They apply until the stack stops, or
   * the compose file changes the port. An empty object returns to the compose file.
   */
  ports?: Record<string, number>;
  /** The definition's host ports are only preferences. Default: true in a linked git work tree. */
  autoPorts?: boolean;
  /** Limits by service; stored for the next start once this start has succeeded. */
  limits?: Record<string, LimitChange>;
  /**
   * Start on a copy of another project's data: a snapshot, or its current data. Valid only when this project has no
   * data.
   */
  dataFrom?: { project: string; snapshot?: string };
  /** Follow `develop.watch` until the stack stops; false ends it. Default: no change. */
  watch?: boolean;
  /** Milliseconds without a call after which the stack stops; 0: never. Default: the setting `idle_stop`. */
  idleStopMs?: number;
  /** Wait until every service is healthy. Default true. */
  wait?: boolean;
  /**
   * Milliseconds after which the call returns the intermediate state while the start continues. The default of every
   * interface is 50,000.
   */
  timeoutMs?: number;
}

export type CheckRequest = Pick<StartRequest, "project" | "folder" | "profiles" | "files" | "services" | "without">;

export interface CommandRequest {
  service: string;
  command: readonly string[] | string;
  shell?: boolean;
  environment?: Record<string, string>;
  workdir?: string;
  stdin?: string;
  /** Run in a fresh instance even when the service is running. Default false. */
  oneOff?: boolean;
  /** Start the service's dependencies first when the stack is not running. Default false. */
  dependencies?: boolean;
  /** Milliseconds after which the command is terminated. */
  timeoutMs: number;
  /** Maximum UTF-8 bytes of output in the answer. */
  maxBytes: number;
}

export interface EventQuery {
  /** Only events after this `seq`, oldest first; without it, the newest ones. */
  after?: number;
  /** 1…1,000. Default 100. */
  limit?: number;
  service?: string;
  types?: EventType[];
  /** Milliseconds to wait for the first matching event. */
  waitMs?: number;
  signal?: AbortSignal;
}

export interface DiagnosisRequest {
  project: string;
  /** Limits the diagnosis to this service and the services that explain its state. Default: all services. */
  service?: string;
  /** Epoch milliseconds: events and lines before it do not count. Default: an hour ago. */
  sinceMs?: number;
  signal?: AbortSignal;
}

export interface Progress {
  progress: number;
  total: number;
  message: string;
}

/** Context that an interface (MCP, REST, command line) passes with every call. */
export interface CallContext {
  signal: AbortSignal;
  /** Name and session of the client, for events. */
  actor: string;
  progress(progress: Progress): void;
  /**
   * Receives output lines of a command as they are printed, sanitised and redacted. Set only by clients that show them
   * immediately.
   */
  output?(stream: "stdout" | "stderr", line: string): void;
  /** Attaches commands to a terminal of the caller, whose output is neither sanitised nor kept. */
  terminal?: CallTerminal;
}

export interface CallTerminal extends CommandTerminal {
  /** Value of TERM. */
  type: string;
  /** Receives raw output. A returned promise applies back-pressure. */
  write(chunk: Buffer): void | Promise<void>;
}

/** A change notification for subscribers. */
export type StackChange =
  | { kind: "projects" }
  | { kind: "stack" | "health" | "events"; project: string; event?: StackEvent }
  | { kind: "logs"; project: string; service: string };

export interface StatsRequest {
  project: string;
  /** Default: all. */
  services?: string[];
  /** Add the usage of the last hour. Default false. */
  history?: boolean;
}

export interface HealthRequest {
  project: string;
  /** Run the health checks now instead of reporting their last results. Default false. */
  fresh?: boolean;
  /** Only these services. Default: all. */
  services?: string[];
  /** Return when the condition is met or impossible, or after `timeoutMs`. A time-out is not an error. */
  waitFor?: "healthy" | "stopped";
  timeoutMs?: number;
}

/**
 * All projects of this server. Errors are StackwardenErrors (UNKNOWN_PROJECT, UNKNOWN_SERVICE, STACK_NOT_RUNNING, …).
 * Operations on one service are serialised; a call repeated after a time-out joins the operation in progress.
 */
export interface StackManager {
  start(request: StartRequest, call: CallContext): Promise<StartOutcome>;
  stop(
    /** `services`: stop only these services. Default: the whole stack. */
    request: {
      project: string;
      removeVolumes?: boolean;
      snapshot?: boolean;
      /** Delete everything of the project, its records too. Its folder need not exist. */
      forget?: boolean;
      services?: string[];
      timeoutMs?: number;
    },
    call: CallContext,
  ): Promise<StopOutcome>;
  restart(
    request: { project: string; service: string; dependents?: boolean; timeoutMs?: number },
    call: CallContext,
  ): Promise<RestartOutcome>;
  setLimits(
    request: { project: string; service: string; limits: LimitChange; force?: boolean },
    call: CallContext,
  ): Promise<LimitsOutcome>;
  /** Runs a command in a service's environment. @throws COMMAND_NOT_ALLOWED, COMMAND_NOT_FOUND, OPERATION_CANCELLED */
  runCommand(request: CommandRequest & { project: string }, call: CallContext): Promise<CommandOutcome>;
  saveSnapshot(
    request: { project: string; name?: string; service?: string },
    call: CallContext,
  ): Promise<SnapshotOutcome>;
  /** @throws STACK_RUNNING, UNKNOWN_SNAPSHOT */
  restoreSnapshot(request: { project: string; snapshot: string }, call: CallContext): Promise<SnapshotOutcome>;
  /** @throws SNAPSHOT_BUSY, UNKNOWN_SNAPSHOT */
  deleteSnapshot(request: { project: string; snapshot: string }, call: CallContext): Promise<SnapshotOutcome>;
  snapshots(project: string): Promise<SnapshotList>;
  /** Determines what a start would do, and the problems that would prevent it. Starts and stores nothing. */
  check(request: CheckRequest): Promise<StackCheck>;
  /** Like `check`, with the resolved model in Compose's format and secrets hidden. */
  resolve(request: CheckRequest): Promise<{ check: StackCheck; model: Record<string, unknown> | null }>;
  list(): Promise<StackReport[]>;
  report(project: string): Promise<StackReport>;
  health(request: HealthRequest, call: CallContext): Promise<HealthOutcome>;
  logs(request: { project: string; query: LogQuery }): Promise<LogReport>;
  stats(request: StatsRequest): Promise<StatsReport>;
  events(request: { project: string } & EventQuery): Promise<EventPage>;
  /**
   * Determines the probable cause of a problem and the next step from existing health results, events, logs, resource
   * use and exits. Runs no check.
   */
  diagnose(request: DiagnosisRequest): Promise<DiagnosisReport>;
  /** Known project ids (running, or known from the state directory or configuration), sorted. */
  projects(): string[];
  /** Service names of a known project, in definition order; empty when unknown. */
  services(project: string): string[];
  /** Log totals of every project whose log is open. Does not read from disk. */
  logTotals(): Promise<(LogTotals & { project: string })[]>;
  /** Status of each runtime on this machine. */
  runtimes(): Promise<RuntimeStatus[]>;
  subscribe(listener: (change: StackChange) => void): () => void;
  /**
   * Stops every stack, dependents before dependencies, within `deadlineMs` milliseconds (default 30,000), then closes
   * the runtimes. Idempotent.
   */
  shutdown(reason: string, deadlineMs?: number): Promise<void>;
}

/** Access of one client of a shared server, and the settings of stacks that it starts. */
export interface ManagerScope {
  settings: StackSettings;
  /**
   * True: the client can access known and running projects in any folder. Only new projects must be below
   * `settings.roots`.
   */
  everyProject: boolean;
}

/** A manager that several clients share. */
export interface SharedStackManager extends StackManager {
  /** A view of the same stacks for one client. Discarding the view stops nothing. */
  within(scope: ManagerScope): StackManager;
  /** Every project whose stack is not stopped or lost, sorted by id. */
  running(): { project: string; state: StackState; folder: string }[];
  /** The state of a project's stack; `stopped` for a project that this server has not started. */
  state(project: string): StackState;
}

export type { Endpoint, ErrorReport };
