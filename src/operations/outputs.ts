/**
 * What operations answer, as schemas. They mirror src/stack/model.ts: each operation returns the model's own type
 * where `z.input` of its schema is asked for, so that the compiler refuses a drift. They stay open for fields that a later
 * version adds: a client must not refuse an answer because it says more.
 */
import * as z from "zod";
import { CAUSE_KINDS, CONFIDENCES, EVIDENCE_SOURCES } from "../stack/diagnosis/types.js";
import type { EventType, ServiceState, StackState } from "../stack/model.js";

export const SERVICE_STATES = [
  "pending",
  "starting",
  "healthy",
  "unhealthy",
  "stopping",
  "stopped",
  "completed",
  "crashed",
  "lost",
] as const satisfies readonly ServiceState[];

export const EVENT_TYPES = [
  "stack_starting",
  "stack_started",
  "stack_start_failed",
  "stack_stopping",
  "stack_stopped",
  "stack_lost",
  "service_starting",
  "service_started",
  "service_healthy",
  "service_unhealthy",
  "service_crashed",
  "service_completed",
  "service_stopping",
  "service_stopped",
  "service_restarting",
  "service_restarted",
  "service_replaced",
  "restart_scheduled",
  "restart_given_up",
  "limits_changed",
  "retrying",
  "installing",
  "pulling",
  "port_reassigned",
  "warning",
] as const satisfies readonly EventType[];

const STACK_STATES = [
  "stopped",
  "starting",
  "running",
  "degraded",
  "stopping",
  "lost",
] as const satisfies readonly StackState[];

const number = z.number();
const text = z.string();
const time = z.string();
const nullableNumber = z.number().nullable();
const serviceState = z.enum(SERVICE_STATES);
export const stackState = z.enum(STACK_STATES);

/** Parts that occur several times in one answer have an id: their JSON Schema is written once, below `$defs`. */
const enforcement = z
  .object({ level: z.enum(["enforced", "advisory", "none"]), reason: text })
  .meta({ id: "enforcement" });
const appliedLimit = z.object({ value: nullableNumber, enforcement }).meta({ id: "limit" });
export const appliedLimits = z
  .object({ cpus: appliedLimit, memory_mb: appliedLimit, pids: appliedLimit })
  .meta({ id: "limits" });

export const serviceHealth = z
  .object({
    service: text,
    healthy: z.boolean(),
    status: serviceState,
    message: text,
    error: text.optional(),
    latency_ms: nullableNumber,
    checked_at: time.nullable(),
    check: text.nullable(),
    consecutive_failures: number,
  })
  .meta({ id: "service_health" });

const exitReport = z.object({
  exit_code: nullableNumber,
  signal: text.nullable(),
  oom_killed: z.boolean(),
  at: time,
});

export const serviceReport = z
  .object({
    service: text,
    state: serviceState,
    image: text.nullable(),
    generation: number,
    restarts: number,
    started_at: time.nullable(),
    pid: nullableNumber,
    user: z.object({ uid: nullableNumber, name: text, enforcement }).nullable(),
    endpoints: z.array(z.object({ host: text, host_port: number, container_port: number, url: text })),
    limits: appliedLimits.nullable(),
    last_exit: exitReport.nullable(),
    depends_on: z.array(text),
    notes: z.array(text),
  })
  .meta({ id: "service" });

export const stackReport = z
  .object({
    project: text,
    folder: text,
    state: stackState,
    runtime: z.enum(["local", "dagger"]),
    source: text,
    started_at: time.nullable(),
    services: z.record(z.string(), serviceReport),
    notes: z.array(text),
  })
  .meta({ id: "stack" });

const change = { verified: z.boolean(), took_ms: number };

export const startOutcome = z.object({
  status: z.enum(["healthy", "already_running", "starting", "reconciled"]),
  message: text,
  missing: z.array(z.object({ service: text, state: serviceState, reason: text })),
  next: text.nullable(),
  before: stackReport,
  after: stackReport,
  ...change,
});

export const stopOutcome = z.object({
  status: z.enum(["stopped", "already_stopped", "stopping"]),
  message: text,
  removed_volumes: z.array(text),
  next: text.nullable(),
  before: stackReport,
  after: stackReport,
  ...change,
});

export const restartOutcome = z.object({
  service: text,
  status: z.enum(["healthy", "starting"]),
  message: text,
  health: serviceHealth,
  dependents_restarted: z.array(text),
  next: text.nullable(),
  before: serviceReport,
  after: serviceReport,
  ...change,
});

export const limitsOutcome = z.object({
  service: text,
  message: text,
  live: z.boolean(),
  before: appliedLimits.nullable(),
  after: appliedLimits.nullable(),
  ...change,
});

export const healthOutcome = z.object({
  project: text,
  state: stackState,
  overall_healthy: z.boolean(),
  services: z.record(z.string(), serviceHealth),
  timestamp: time,
  wait: z.object({ condition: z.enum(["healthy", "stopped"]), met: z.boolean(), reason: text }).nullable(),
});

const logLine = z.object({
  seq: number,
  time,
  service: text,
  stream: z.enum(["stdout", "stderr"]),
  generation: number,
  text,
  cut_from_bytes: number.optional(),
  repeated: z.object({ count: number, last_seq: number, last_time: time }).optional(),
});

export const logReport = z.object({
  project: text,
  services: z.array(text),
  lines: z.array(logLine),
  line_count: number,
  next_cursor: text,
  omitted: z.object({ lines: number, reason: z.enum(["budget", "tail", "rotated"]), how_to_get: text }).nullable(),
  dropped: z.record(z.string(), number),
});

const serviceStats = z.object({
  cpu_cores: nullableNumber,
  cpu_seconds_total: nullableNumber,
  memory_mb: nullableNumber,
  memory_peak_mb: nullableNumber,
  pids: nullableNumber,
  throttled_periods: nullableNumber,
  throttled_seconds: nullableNumber,
  oom_kills: nullableNumber,
  network_rx_bytes: nullableNumber,
  network_tx_bytes: nullableNumber,
  reason: text.nullable(),
});

export const statsReport = z.object({
  project: text,
  timestamp: time,
  services: z.record(
    z.string(),
    z.object({
      state: serviceState,
      stats: serviceStats.nullable(),
      limits: appliedLimits.nullable(),
      pressure: z.array(text),
    }),
  ),
});

const stackEvent = z.object({
  seq: number,
  time,
  project: text,
  type: z.enum(EVENT_TYPES),
  service: text.nullable(),
  message: text,
  actor: text,
  data: z.record(z.string(), z.unknown()).optional(),
});

export const eventPage = z.object({
  project: text,
  events: z.array(stackEvent),
  next_cursor: number,
  omitted: number,
});

const cause = z
  .object({
    kind: z.enum(CAUSE_KINDS),
    service: text.nullable(),
    confidence: z.enum(CONFIDENCES),
    explanation: text,
    because_of: text.nullable(),
    evidence: z.array(
      z.object({ source: z.enum(EVIDENCE_SOURCES), service: text.nullable(), time: time.nullable(), text }),
    ),
    next: z.object({ do: text, operation: text.nullable(), input: z.record(z.string(), z.unknown()) }),
  })
  .meta({ id: "cause" });

export const diagnosisReport = z.object({
  project: text,
  state: stackState,
  overall_healthy: z.boolean(),
  timestamp: time,
  since: time,
  summary: text,
  cause: cause.nullable(),
  others: z.array(cause),
  services: z.record(
    z.string(),
    z.object({
      state: serviceState,
      healthy: z.boolean(),
      message: text,
      restarts: number,
      crashes: number,
      last_exit: exitReport.nullable(),
      depends_on: z.array(text),
      pressure: z.array(text),
      lines: z.array(z.object({ seq: number, time, stream: z.enum(["stdout", "stderr"]), generation: number, text })),
    }),
  ),
  recent_events: z.array(stackEvent),
  omitted: z.object({ causes: number, events: number }),
});
