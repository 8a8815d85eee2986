/** Result types of the operations, imported from the domain so that the compiler detects differences. */
import type { DiagnosisReport } from "../../stack/diagnosis/types.js";
import type {
  CommandOutcome,
  EventPage,
  HealthOutcome,
  LimitsOutcome,
  RestartOutcome,
  SnapshotList,
  SnapshotOutcome,
  StackReport,
  StartOutcome,
  StatsReport,
  StopOutcome,
} from "../../stack/model.js";
import type { StackCheck } from "../../stack/schemas/check.js";

export type { Cause } from "../../stack/diagnosis/types.js";
export type { LogLine } from "../../stack/logs/types.js";
export type {
  CommandOutcome,
  LogReport,
  ServiceHealth,
  ServiceReport,
  ServiceState,
  StackEvent,
  StackReport,
  StackState,
  StatsReport,
} from "../../stack/model.js";
export type { ServiceStats } from "../../stack/runtime.js";
export type { StackCheck } from "../../stack/schemas/check.js";
export type { Snapshot } from "../../stack/schemas/snapshots.js";

/** The operations that the page calls, by name. */
export interface Answers {
  list_stacks: { stacks: StackReport[] };
  health_status: HealthOutcome;
  get_stats: StatsReport;
  get_events: EventPage;
  diagnose: DiagnosisReport;
  check_stack: StackCheck;
  start_stack: StartOutcome;
  stop_stack: StopOutcome;
  restart_service: RestartOutcome;
  set_limits: LimitsOutcome;
  run_command: CommandOutcome;
  list_snapshots: SnapshotList;
  save_snapshot: SnapshotOutcome;
  restore_snapshot: SnapshotOutcome;
  delete_snapshot: SnapshotOutcome;
}

export type OperationName = keyof Answers;
export type Input = Record<string, unknown> & { project?: string; service?: string };
