/** Result types of the operations, imported from the domain so that the compiler detects differences. */
import type { DiagnosisReport } from "../../stack/diagnosis/types.js";
import type {
  EventPage,
  HealthOutcome,
  LimitsOutcome,
  RestartOutcome,
  StackReport,
  StartOutcome,
  StatsReport,
  StopOutcome,
} from "../../stack/model.js";
import type { StackCheck } from "../../stack/schemas/check.js";

export type { Cause } from "../../stack/diagnosis/types.js";
export type { LogLine } from "../../stack/logs/types.js";
export type {
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
}

export type OperationName = keyof Answers;
export type Input = Record<string, unknown> & { project?: string; service?: string };
