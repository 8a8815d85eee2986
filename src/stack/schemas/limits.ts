/** Limits, and how far they are real. Parts that occur several times in one answer have an id: their JSON Schema is written once, below `$defs`. */
import * as z from "zod";

const nullableNumber = z.number().nullable();

/** How far a limit or isolation is real: read back from the kernel, only asked for, or absent. */
export const enforcement = z
  .object({
    level: z.enum(["enforced", "advisory", "none"]),
    /** Why it is not enforced, or by what it is (`cgroup v1`, `cgroup v2`). */
    reason: z.string(),
  })
  .meta({ id: "enforcement" });
export type Enforcement = z.infer<typeof enforcement>;
export type EnforcementLevel = Enforcement["level"];

const appliedLimit = z.object({ value: nullableNumber, enforcement }).meta({ id: "limit" });

/** Limits as they are, one enforcement for each. `value` is read back from the kernel where `enforced`. */
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
  /** Periods in which the CPU limit held the service back. */
  throttled_periods: nullableNumber,
  /** Seconds lost to the CPU limit. */
  throttled_seconds: nullableNumber,
  oom_kills: nullableNumber,
  network_rx_bytes: nullableNumber,
  network_tx_bytes: nullableNumber,
  /** Why fields are null, if any are. */
  reason: z.string().nullable(),
});
export type ServiceStats = z.infer<typeof serviceStats>;
