/** Stats of a service whose usage cannot be measured. */
import type { ServiceStats } from "../../stack/runtime.js";

export const NO_STATS: Omit<ServiceStats, "reason"> = {
  cpu_cores: null,
  cpu_seconds_total: null,
  memory_mb: null,
  memory_peak_mb: null,
  pids: null,
  throttled_periods: null,
  throttled_seconds: null,
  oom_kills: null,
  network_rx_bytes: null,
  network_tx_bytes: null,
};
