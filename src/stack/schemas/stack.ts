/** Reports of a whole stack: its services, their health and their resource use. */
import * as z from "zod";
import { RUNTIMES, STACK_STATES } from "../vocabulary.js";
import { appliedLimits, serviceStats } from "./limits.js";
import { serviceHealth, serviceReport, serviceState } from "./service.js";

const text = z.string();
/** ISO 8601, UTC. */
const time = z.string();

export const stackState = z.enum(STACK_STATES);

/** Services that a call stopped or named in `without`; absent when there are none. */
const leftOut = z.array(text).exactOptional();

export const stackReport = z
  .object({
    project: text,
    folder: text,
    /** The folder does not exist now. What the project left can be deleted. */
    folder_missing: z.literal(true).exactOptional(),
    state: stackState,
    runtime: z.enum(RUNTIMES),
    /** Where the definition comes from: the compose file's path, or the built-in stack. */
    source: text,
    started_at: time.nullable(),
    /** The stack stops when no call has used it for this long; absent when it runs until it is stopped. */
    idle_stop: z
      .object({
        seconds: z.number(),
        /** Null during a call. */
        stops_at: time.nullable(),
      })
      .exactOptional(),
    /** Services that are replaced when their files change (`develop.watch`); absent when the stack is not watched. */
    watching: z.array(text).exactOptional(),
    services: z.record(z.string(), serviceReport),
    left_out: leftOut,
    notes: z.array(text),
  })
  .meta({ id: "stack" });
export type StackReport = z.infer<typeof stackReport>;

const health = {
  project: text,
  state: stackState,
  /** Every service that has a check is healthy, and every other one runs or has completed. */
  overall_healthy: z.boolean(),
  /** Running services without a health check. */
  unchecked: z.array(text),
  services: z.record(z.string(), serviceHealth),
  left_out: leftOut,
  timestamp: time,
};
export const healthReport = z.object(health);
export type HealthReport = z.infer<typeof healthReport>;

export const healthOutcome = z.object({
  ...health,
  /** Null without wait_for. */
  wait: z.object({ condition: z.enum(["healthy", "stopped"]), met: z.boolean(), reason: text }).nullable(),
});
export type HealthOutcome = z.infer<typeof healthOutcome>;

const usageSample = z.object({ time, cpus: z.number().nullable(), memory_mb: z.number().nullable() });
export type UsageSample = z.infer<typeof usageSample>;

export const statsReport = z.object({
  project: text,
  timestamp: time,
  services: z.record(
    z.string(),
    z.object({
      state: serviceState,
      stats: serviceStats.nullable(),
      limits: appliedLimits.nullable(),
      /** Resources that are short, in sentences. */
      pressure: z.array(text),
      /** On request: usage of the last hour, oldest first. */
      history: z.array(usageSample).optional(),
    }),
  ),
});
export type StatsReport = z.infer<typeof statsReport>;

/** The list of every known project's report. */
export const stackList = z.object({ stacks: z.array(stackReport) });
