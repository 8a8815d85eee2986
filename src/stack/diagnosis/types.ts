/** Input of a diagnosis. `../schemas/diagnosis.ts` declares its report. */
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

/** All facts about one service. */
export interface ServiceEvidence {
  report: ServiceReport;
  health: ServiceHealth;
  stats: StatsReport["services"][string] | null;
  /** Milliseconds since the current health check began; null when no check is running. */
  checkRunningMs: number | null;
  /** The service's newest lines, oldest first. */
  lines: LogLine[];
  /** Events of the service, oldest first. */
  events: StackEvent[];
  /**
   * The service failed in the last start, which failed. It was then stopped with the others, which is not the cause of
   * its problem.
   */
  failedStart: boolean;
  /** Services on which it depends and without which it started, because a call left them out. */
  startedWithout: readonly string[];
  /** The host names in its environment, each with the variable that contains it. */
  hosts: ReadonlyMap<string, string>;
  /** Other services wait until it has completed, as for a migration. */
  isAwaited: boolean;
  /** How to install the module that this line misses; null when no manifest of the service lists it. */
  installOf(line: string): string | null;
}

export interface Facts {
  project: string;
  sinceMs: number;
  nowMs: number;
  stack: StackReport;
  health: HealthReport;
  services: ReadonlyMap<string, ServiceEvidence>;
  /** Services that are not part of the stack, because calls stopped them or left them out. */
  leftOut: readonly string[];
  /** Events of the period covered, oldest first. */
  events: StackEvent[];
  /** The newest lines of the installer with which the last start failed; empty when it failed otherwise. */
  installer: readonly LogLine[];
  /** Why the current compose file cannot be used; null when it can. */
  definition: { code: string; message: string; hint: string } | null;
  /** The machine's memory in MB; null when it is unknown. */
  capacityMb: number | null;
}
