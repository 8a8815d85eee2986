/**
 * Limits and their enforcement. Schemas that occur several times in one answer have an id, so that their JSON Schema is
 * written once, below `$defs`.
 */
import * as z from "zod";

const nullableNumber = z.number().nullable();

/** Enforcement of a limit or of isolation: read back from the kernel, only requested, or absent. */
export const enforcement = z
  .object({
    level: z.enum(["enforced", "advisory", "none"]),
    /** Why it is not enforced, or the mechanism that enforces it (`cgroup v1`, `cgroup v2`). */
    reason: z.string(),
  })
  .meta({ id: "enforcement" });
export type Enforcement = z.infer<typeof enforcement>;
export type EnforcementLevel = Enforcement["level"];

/** Processes and threads of a service that sets no limit: more than databases need, less than a fork bomb. */
export const DEFAULT_PIDS = 2048;

const appliedLimit = z.object({ value: nullableNumber, enforcement }).meta({ id: "limit" });

/** Applied limits with the enforcement of each. `value` is read back from the kernel when `enforced`. */
export const appliedLimits = z
  .object({ cpus: appliedLimit, memory_mb: appliedLimit, pids: appliedLimit })
  .meta({ id: "limits" });
export type AppliedLimits = z.infer<typeof appliedLimits>;

export const serviceStats = z.object({
  /** Cores in use since the last sample, or null where unknown. */
  cpu_cores: nullableNumber,
  cpu_seconds_total: nullableNumber,
  memory_mb: nullableNumber,
  memory_peak_mb: nullableNumber,
  pids: nullableNumber,
  /** Periods in which the CPU limit throttled the service. */
  throttled_periods: nullableNumber,
  /** Seconds for which the CPU limit throttled the service. */
  throttled_seconds: nullableNumber,
  oom_kills: nullableNumber,
  network_rx_bytes: nullableNumber,
  network_tx_bytes: nullableNumber,
  /** Why fields are null; null when no field is. */
  reason: z.string().nullable(),
});
export type ServiceStats = z.infer<typeof serviceStats>;
