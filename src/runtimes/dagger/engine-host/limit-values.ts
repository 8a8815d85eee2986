/** Converts limits to and from the kernel's units. */
import type { Limits } from "../../../stack/definition/types.js";

export const MB = 1_048_576;
/** Period of every CPU limit, in microseconds; the same as Docker's. */
export const CPU_PERIOD_US = 100_000;
/** The kernel accepts no shorter quota. */
const LEAST_QUOTA_US = 1_000;

export interface KernelLimits {
  memoryBytes?: number;
  /** Microseconds in each period of CPU_PERIOD_US. */
  cpuQuotaUs?: number;
  pids?: number;
}

export function kernelLimits({ cpus, memory_mb, pids }: Limits): KernelLimits {
  return {
    ...(memory_mb === undefined ? {} : { memoryBytes: Math.floor(memory_mb * MB) }),
    ...(cpus === undefined ? {} : { cpuQuotaUs: Math.max(LEAST_QUOTA_US, Math.round(cpus * CPU_PERIOD_US)) }),
    ...(pids === undefined ? {} : { pids }),
  };
}
