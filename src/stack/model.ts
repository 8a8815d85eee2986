/**
 * What the domain reports, in the very shape that every door shows (snake_case JSON), and the
 * manager that operations call. Times are ISO 8601 in UTC.
 */

import type { ErrorReport } from "../errors.js";
import type { Limits } from "./definition/types.js";
import type { DiagnosisReport, DiagnosisRequest } from "./diagnosis/types.js";
import type { LogPage, LogQuery, LogTotals } from "./logs/types.js";
import type { AppliedLimits, Endpoint, Enforcement, RuntimeName, RuntimeStatus, ServiceStats } from "./runtime.js";
import type { StackSettings } from "./settings.js";

/** `lost`: the runtime died under it. `completed`: a one-shot service ended with exit code 0. */
export type ServiceState =
  | "pending"
  | "starting"
  | "healthy"
  | "unhealthy"
  | "stopping"
  | "stopped"
  | "completed"
  | "crashed"
  | "lost";

export type StackState = "stopped" | "starting" | "running" | "degraded" | "stopping" | "lost";

export interface ExitReport {
  exit_code: number | null;
  signal: string | null;
  oom_killed: boolean;
  at: string;
}

/** H1 */
export interface ServiceHealth {
  service: string;
  healthy: boolean;
  status: ServiceState;
  /** What the last check saw, or why there is none. Untrusted where it quotes a service. */
  message: string;
  /** Present when not healthy: what was seen. */
  error?: string;
  latency_ms: number | null;
  /** Null before the first check. */
  checked_at: string | null;
  /** Which check ran. */
  check: string | null;
  consecutive_failures: number;
}

/** H2 */
export interface HealthReport {
  project: string;
  state: StackState;
  overall_healthy: boolean;
  services: Record<string, ServiceHealth>;
  timestamp: string;
}

/** R1 */
export interface ServiceReport {
  service: string;
  state: ServiceState;
  image: string | null;
  generation: number;
  restarts: number;
  started_at: string | null;
  pid: number | null;
  user: { uid: number | null; name: string; enforcement: Enforcement } | null;
  endpoints: { host: string; host_port: number; container_port: number; url: string }[];
  limits: AppliedLimits | null;
  last_exit: ExitReport | null;
  depends_on: string[];
  notes: string[];
}

export interface StackReport {
  project: string;
  folder: string;
  state: StackState;
  runtime: RuntimeName;
  source: string;
  started_at: string | null;
  services: Record<string, ServiceReport>;
  notes: string[];
}

export type EventType =
  | "stack_starting"
  | "stack_started"
  | "stack_start_failed"
  | "stack_stopping"
  | "stack_stopped"
  | "stack_lost"
  | "service_starting"
  | "service_started"
  | "service_healthy"
  | "service_unhealthy"
  | "service_crashed"
  | "service_completed"
  | "service_stopping"
  | "service_stopped"
  | "service_restarting"
  | "service_restarted"
  | "service_replaced"
  | "restart_scheduled"
  | "restart_given_up"
  | "limits_changed"
  | "retrying"
  | "installing"
  | "pulling"
  | "port_reassigned"
  | "warning";

export interface StackEvent {
  seq: number;
  time: string;
  project: string;
  type: EventType;
  service: string | null;
  message: string;
  /** Who asked for it: the client's name and session, or `stackwarden` itself. */
  actor: string;
  data?: Record<string, unknown>;
}

export interface EventPage {
  project: string;
  events: StackEvent[];
  next_cursor: number;
  omitted: number;
}

/** Result of every mutation: states observed, not remembered. */
export interface Change<T> {
  before: T;
  after: T;
  /** True when `after` was observed and is what was asked for. */
  verified: boolean;
  took_ms: number;
}

export interface StartRequest {
  project: string;
  /** Absolute or relative to the first allowed root. Default: see `StackManager.resolveFolder`. */
  folder?: string;
  profiles?: string[];
  /** Host ports by service (its first published port). */
  ports?: Record<string, number>;
  /** Limits by service; kept for the next start. */
  limits?: Record<string, Limits>;
  /** Wait until every service is healthy. Default true. */
  wait?: boolean;
  /** Milliseconds until the call returns the intermediate state. Default 50,000 at the doors. The start itself goes on. */
  timeoutMs?: number;
}

/** Waiting ended: by the goal, by time (start goes on), or not asked for. */
export interface StartOutcome extends Change<StackReport> {
  status: "healthy" | "already_running" | "starting" | "reconciled";
  message: string;
  /** What is not healthy yet, and why. */
  missing: { service: string; state: ServiceState; reason: string }[];
  /** What to call next, when the start goes on. */
  next: string | null;
}

export interface StopOutcome extends Change<StackReport> {
  /** `stopping`: the time ran out; the stop goes on. */
  status: "stopped" | "already_stopped" | "stopping";
  message: string;
  removed_volumes: string[];
  /** What to call next, when the stop goes on. */
  next: string | null;
}

export interface RestartOutcome extends Change<ServiceReport> {
  service: string;
  message: string;
  health: ServiceHealth;
  dependents_restarted: string[];
  status: "healthy" | "starting";
  next: string | null;
}

export interface LimitsOutcome extends Change<AppliedLimits | null> {
  service: string;
  message: string;
  /** False: the stack is not running; kept for the next start. */
  live: boolean;
}

export interface StatsReport {
  project: string;
  timestamp: string;
  services: Record<
    string,
    { state: ServiceState; stats: ServiceStats | null; limits: AppliedLimits | null; pressure: string[] }
  >;
}

export interface LogReport extends LogPage {
  project: string;
  /** Services the query covered. */
  services: string[];
}

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
  /** Return when the condition is met or impossible, or time is up (never an error). */
  waitFor?: "healthy" | "stopped";
  timeoutMs?: number;
}

export interface HealthOutcome extends HealthReport {
  /** Null without wait_for. */
  wait: { condition: "healthy" | "stopped"; met: boolean; reason: string } | null;
}

/**
 * All projects of this server. Errors are StackwardenErrors (UNKNOWN_PROJECT, UNKNOWN_SERVICE, STACK_NOT_RUNNING, …).
 * Operations on one service are serialised; a call repeated after a time-out joins the operation under way.
 */
export interface StackManager {
  start(request: StartRequest, call: CallContext): Promise<StartOutcome>;
  stop(
    request: { project: string; removeVolumes?: boolean; timeoutMs?: number },
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
