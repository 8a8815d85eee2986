/** What a diagnosis says, in the shape every door shows, and what it is made from. */
import type { LogLine } from "../logs/types.js";
import type { HealthReport, ServiceHealth, ServiceReport, StackEvent, StackReport, StatsReport } from "../model.js";

/** What can be wrong. `starting`, `stopped` and `never_started` are no faults. */
export const CAUSE_KINDS = [
  "bad_credentials",
  "check_failed",
  "connection_refused",
  "cpu_limit",
  "crashed",
  "definition_invalid",
  "dependency_down",
  "disk_full",
  "install_failed",
  "killed_from_outside",
  "memory_limit",
  "missing_module",
  "missing_setting",
  "missing_table",
  "name_not_found",
  "no_answer",
  "not_listening",
  "open_files",
  "permission_denied",
  "pids_limit",
  "port_taken",
  "recovered",
  "runtime_lost",
  "start_failed",
  "starting",
  "stopped",
  "never_started",
  "syntax_error",
] as const;
export type CauseKind = (typeof CAUSE_KINDS)[number];

/** `certain`: observed. `likely`: what was seen has hardly another cause. `possible`: worth a look. */
export const CONFIDENCES = ["certain", "likely", "possible"] as const;
export type Confidence = (typeof CONFIDENCES)[number];

export const EVIDENCE_SOURCES = ["event", "exit", "health", "limits", "log", "stats"] as const;

/** One thing that was seen. */
export interface Evidence {
  source: (typeof EVIDENCE_SOURCES)[number];
  service: string | null;
  /** When, where that is known. */
  time: string | null;
  /** Untrusted: may quote a service. */
  text: string;
}

export interface NextStep {
  /** In words of our own. */
  do: string;
  /** The operation to call then, or null when none helps before something else was done. */
  operation: string | null;
  input: Record<string, unknown>;
}

export interface Cause {
  kind: CauseKind;
  service: string | null;
  confidence: Confidence;
  /** In words of our own: nothing of it was written by a service. */
  explanation: string;
  /** The failing service that explains this one, or null. */
  because_of: string | null;
  evidence: Evidence[];
  next: NextStep;
}

export interface DiagnosedService {
  state: ServiceReport["state"];
  healthy: boolean;
  /** What the last check saw. Untrusted where it quotes a service. */
  message: string;
  restarts: number;
  /** Crashes in the time looked at. */
  crashes: number;
  last_exit: ServiceReport["last_exit"];
  depends_on: string[];
  /** What is short, in sentences. */
  pressure: string[];
  /** Its last lines that look like errors; for one that ended, its last lines too. Untrusted. */
  lines: Pick<LogLine, "seq" | "time" | "stream" | "generation" | "text">[];
}

export interface DiagnosisReport {
  project: string;
  state: HealthReport["state"];
  overall_healthy: boolean;
  timestamp: string;
  /** Where the time looked at begins. */
  since: string;
  /** One sentence. */
  summary: string;
  /** The most likely one; null when nothing is wrong. */
  cause: Cause | null;
  /** What else was found, the likeliest first. */
  others: Cause[];
  services: Record<string, DiagnosedService>;
  /** The newest ones, oldest first. */
  recent_events: StackEvent[];
  /** How many further causes and events were left out. */
  omitted: { causes: number; events: number };
}

/** Everything known of one service. */
export interface ServiceEvidence {
  report: ServiceReport;
  health: ServiceHealth;
  stats: StatsReport["services"][string] | null;
  /** Its newest lines, oldest first. */
  lines: LogLine[];
  /** Its own, oldest first. */
  events: StackEvent[];
  /** The last start failed because of it: it was stopped with the others, which is not what is wrong with it. */
  failedStart: boolean;
}

export interface Facts {
  project: string;
  sinceMs: number;
  nowMs: number;
  stack: StackReport;
  health: HealthReport;
  services: ReadonlyMap<string, ServiceEvidence>;
  /** Those of the time looked at, oldest first. */
  events: StackEvent[];
  /** Why the compose file cannot be used as it is now, or null. */
  definition: { code: string; message: string; hint: string } | null;
  /** The machine's size, MB; null when nothing is known of it. */
  capacityMb: number | null;
}

export interface DiagnosisRequest {
  project: string;
  /** Only this service, and what explains it. */
  service?: string;
  /** Epoch milliseconds: events and lines before it do not count. Default: an hour ago. */
  sinceMs?: number;
  signal?: AbortSignal;
}
