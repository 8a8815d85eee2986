/** What a change answers. States are observed, not remembered. */
import * as z from "zod";
import { appliedLimits } from "./limits.js";
import { serviceHealth, serviceReport, serviceState } from "./service.js";
import { stackReport } from "./stack.js";

const text = z.string();

/** The operation to call next, while the change continues or when something is not healthy. */
const nextCall = z.object({ operation: text, input: z.record(z.string(), z.unknown()) }).nullable();

const change = {
  /** True when `after` was observed and is what was asked for. */
  verified: z.boolean(),
  took_ms: z.number(),
};

export const startOutcome = z.object({
  /**
   * `running`: up, and nothing checks some of its services. `starting`: the time ran out, or waiting was not asked for; the
   * start continues. `degraded`: the start ended, and a service is not up.
   */
  status: z.enum(["healthy", "running", "already_running", "starting", "reconciled", "degraded"]),
  message: text,
  /** What is not up, and why. */
  missing: z.array(z.object({ service: text, state: serviceState, reason: text })),
  next: nextCall,
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
  /** The snapshot that the deleted data was saved to. */
  snapshot: text.exactOptional(),
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
  /** False: the stack is not running; kept for the next start. */
  live: z.boolean(),
  before: appliedLimits.nullable(),
  after: appliedLimits.nullable(),
  ...change,
});
export type LimitsOutcome = z.infer<typeof limitsOutcome>;
