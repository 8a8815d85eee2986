/** What a diagnosis is made from. What it reports is declared by `../schemas/diagnosis.ts`. */
import type { LogLine } from "../logs/types.js";
import type { HealthReport, ServiceHealth, ServiceReport, StackEvent, StackReport, StatsReport } from "../model.js";

export type {
  Cause,
  CauseKind,
  Confidence,
  DiagnosedService,
  DiagnosisReport,
  Evidence,
  NextStep,
} from "../schemas/diagnosis.js";

/** Everything known of one service. */
export interface ServiceEvidence {
  report: ServiceReport;
  health: ServiceHealth;
  stats: StatsReport["services"][string] | null;
  /** Milliseconds since the check under way began; null when none is. */
  checkRunningMs: number | null;
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
