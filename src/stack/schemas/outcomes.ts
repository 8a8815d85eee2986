/** Answers of changes. States are observed after the change, not assumed. */
import * as z from "zod";
import { appliedLimits } from "./limits.js";
import { serviceHealth, serviceReport, serviceState } from "./service.js";
import { stackReport } from "./stack.js";

const text = z.string();

/** The operation to call next, while the change continues or when something is not healthy. */
const nextCall = z.object({ operation: text, input: z.record(z.string(), z.unknown()) }).nullable();

const change = {
  /** True when `after` was observed and equals the requested state. */
  verified: z.boolean(),
  took_ms: z.number(),
};

export const startOutcome = z.object({
  /**
   * `running`: up, with at least one service without a health check. `starting`: the time ran out, or waiting was not
   * requested; the start continues. `degraded`: the start ended, and a service is not up.
   */
  status: z.enum(["healthy", "running", "already_running", "starting", "reconciled", "degraded"]),
  message: text,
  /** Services that are not up, with the reason for each. */
  missing: z.array(z.object({ service: text, state: serviceState, reason: text })),
  next: nextCall,
  /** Notes on the caller's files and the runtime: all of a stack that the call started, else those that are new. */
  notes: z.array(text),
  before: stackReport,
  after: stackReport,
  ...change,
});
export type StartOutcome = z.infer<typeof startOutcome>;

export const stopOutcome = z.object({
  /** `stopping`: the time ran out; the stop continues. */
  status: z.enum(["stopped", "already_stopped", "stopping"]),
  message: text,
  removed_volumes: z.array(text),
  /** Name of the snapshot with the deleted data; absent when none was saved. */
  snapshot: text.exactOptional(),
  /** The project's data, snapshots, dependencies, logs and records were deleted. */
  forgotten: z.literal(true).exactOptional(),
  /** Data of the forgotten project that stays on an engine which does not answer; absent when there is none. */
  not_deleted: z.array(text).exactOptional(),
  next: nextCall,
  before: stackReport,
  after: stackReport,
  ...change,
});
export type StopOutcome = z.infer<typeof stopOutcome>;

export const restartOutcome = z.object({
  service: text,
  /** `starting`: the time ran out; the restart continues. `degraded`: it ended, and the service is not up. */
  status: z.enum(["healthy", "running", "completed", "starting", "degraded"]),
  message: text,
  health: serviceHealth,
  dependents_restarted: z.array(text),
  next: nextCall,
  before: serviceReport,
  after: serviceReport,
  ...change,
});
export type RestartOutcome = z.infer<typeof restartOutcome>;

export const limitsOutcome = z.object({
  service: text,
  message: text,
  /** False when the stack is not running; the limits are then stored for the next start. */
  live: z.boolean(),
  before: appliedLimits.nullable(),
  after: appliedLimits.nullable(),
  ...change,
});
export type LimitsOutcome = z.infer<typeof limitsOutcome>;
