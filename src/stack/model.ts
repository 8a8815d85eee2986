/**
 * The manager that operations call, and what it takes. What it reports is declared by `./schemas/`, in the very shape that
 * every client sees (snake_case JSON); the types derive from those schemas. Times are ISO 8601 in UTC.
 */

import type { ErrorReport } from "../errors.js";
import type { Limits } from "./definition/types.js";
import type { DiagnosisReport, DiagnosisRequest } from "./diagnosis/types.js";
import type { CommandRequest } from "./lifecycle/run-command.js";
import type { LogQuery, LogTotals } from "./logs/types.js";
import type { Endpoint, RuntimeStatus } from "./runtime.js";
import type { StackCheck } from "./schemas/check.js";
import type { CommandOutcome } from "./schemas/commands.js";
import type { EventPage, StackEvent } from "./schemas/events.js";
import type { LogReport } from "./schemas/logs.js";
import type { LimitsOutcome, RestartOutcome, StartOutcome, StopOutcome } from "./schemas/outcomes.js";
import type { SnapshotList, SnapshotOutcome } from "./schemas/snapshots.js";
import type { HealthOutcome, StackReport, StatsReport } from "./schemas/stack.js";
import type { StackSettings } from "./settings.js";
import type { EventType, StackState } from "./vocabulary.js";

export type { CommandRequest } from "./lifecycle/run-command.js";
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
  /** Compose files, relative to the folder. Default: COMPOSE_FILE of `.env`, else the usual names. */
  files?: string[];
  /** Start these and what they depend on; the others of a running stack stay as they are. Default: all. */
  services?: string[];
  /** Services that are left out. */
  without?: string[];
  /** Host ports by service (its first published port) or `service:containerPort`. */
  ports?: Record<string, number>;
  /** The definition's host ports are only preferences. Default: true in a linked git work tree. */
  autoPorts?: boolean;
  /** Limits by service; kept for the next start. */
  limits?: Record<string, Limits>;
  /** Start on a copy of another project's data: of a snapshot, or of its present data. Only while this one has none. */
  dataFrom?: { project: string; snapshot?: string };
  /** Wait until every service is healthy. Default true. */
  wait?: boolean;
  /** Milliseconds until the call returns the intermediate state. Default 50,000 at the doors. The start itself goes on. */
  timeoutMs?: number;
}

export type CheckRequest = Pick<StartRequest, "project" | "folder" | "profiles" | "files" | "services" | "without">;

export interface Progress {
  progress: number;
  total: number;
  message: string;
}

/** What a door gives to every call. */
export interface CallContext {
  signal: AbortSignal;
  /** Client's name and session, for events. */
  actor: string;
  progress(progress: Progress): void;
  /** Lines that a command prints, as they come; sanitised and redacted. Only for clients that show them at once. */
  output?(stream: "stdout" | "stderr", line: string): void;
}

/** Something changed that a subscriber may want to read again. */
export type StackChange =
  | { kind: "projects" }
  | { kind: "stack" | "health" | "events"; project: string; event?: StackEvent }
  | { kind: "logs"; project: string; service: string };

export interface HealthRequest {
  project: string;
  /** Probe now instead of reporting the last check. */
  fresh?: boolean;
  /** Only these services. Default: all. */
  services?: string[];
  /** Return when the condition is met or impossible, or time is up (never an error). */
  waitFor?: "healthy" | "stopped";
  timeoutMs?: number;
}

/**
 * All projects of this server. Errors are StackwardenErrors (UNKNOWN_PROJECT, UNKNOWN_SERVICE, STACK_NOT_RUNNING, …).
 * Operations on one service are serialised; a call repeated after a time-out joins the operation under way.
 */
export interface StackManager {
  start(request: StartRequest, call: CallContext): Promise<StartOutcome>;
  stop(
    /** `services`: stop these alone. */
    request: { project: string; removeVolumes?: boolean; snapshot?: boolean; services?: string[]; timeoutMs?: number },
    call: CallContext,
  ): Promise<StopOutcome>;
  restart(
    request: { project: string; service: string; dependents?: boolean; timeoutMs?: number },
    call: CallContext,
  ): Promise<RestartOutcome>;
  setLimits(
    request: { project: string; service: string; limits: Limits; force?: boolean },
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
  /** What a start would do, and what stands in the way. Starts and keeps nothing. */
  check(request: CheckRequest): Promise<StackCheck>;
  /** The same with the resolved model as Compose writes it, secrets hidden. */
  resolve(request: CheckRequest): Promise<{ check: StackCheck; model: Record<string, unknown> | null }>;
  list(): Promise<StackReport[]>;
  report(project: string): Promise<StackReport>;
  health(request: HealthRequest, call: CallContext): Promise<HealthOutcome>;
  logs(request: { project: string; query: LogQuery }): Promise<LogReport>;
  stats(request: { project: string; services?: string[] }): Promise<StatsReport>;
  events(request: {
    project: string;
    after?: number;
    limit?: number;
    service?: string;
    types?: EventType[];
    waitMs?: number;
    signal?: AbortSignal;
  }): Promise<EventPage>;
  /** What is wrong, most likely, and what to do next: from health, events, logs, use and exits at hand. Probes nothing. */
  diagnose(request: DiagnosisRequest): Promise<DiagnosisReport>;
  /** Known project ids (running, or known from the state directory or configuration), sorted. */
  projects(): string[];
  /** Service names of a known project, in definition order; empty when unknown. */
  services(project: string): string[];
  /** What came from services, of every project whose log is open. Reads no disk. */
  logTotals(): Promise<(LogTotals & { project: string })[]>;
  /** What the runtimes can do on this machine. */
  runtimes(): Promise<RuntimeStatus[]>;
  subscribe(listener: (change: StackChange) => void): () => void;
  /** Stops every stack in reverse order within the deadline (default 30 s), then closes the runtimes. Idempotent. */
  shutdown(reason: string, deadlineMs?: number): Promise<void>;
}

/** What one client of a shared server may reach, and how what it starts is run. */
export interface ManagerScope {
  settings: StackSettings;
  /** Projects that are known or run are reached wherever they lie; only new ones must be below `settings.roots`. */
  everyProject: boolean;
}

/** A manager that several clients share. */
export interface SharedStackManager extends StackManager {
  /** The same stacks as one client sees them. Ending the view ends nothing. */
  within(scope: ManagerScope): StackManager;
  /** Every project whose stack is not stopped or lost, sorted by id. */
  running(): { project: string; state: StackState; folder: string }[];
}

export type { Endpoint, ErrorReport };
