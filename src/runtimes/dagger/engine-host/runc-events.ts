/** Usage from `runc events --stats`, for services whose cgroup files are not visible. */

import type { Usage } from "./cgroup-files.js";
import { MB } from "./limit-values.js";

interface Entry {
  usage?: unknown;
  max?: unknown;
}

interface Figures {
  cpu?: { usage?: { total?: unknown }; throttling?: { throttledPeriods?: unknown; throttledTime?: unknown } };
  memory?: { usage?: Entry; raw?: Record<string, unknown> };
  pids?: { current?: unknown };
  network_interfaces?: { Name?: unknown; RxBytes?: unknown; TxBytes?: unknown }[] | null;
}

const numberOf = (value: unknown): number | null =>
  typeof value === "number" && Number.isFinite(value) ? value : null;
const scaled = (value: unknown, by: number): number | null => {
  const number = numberOf(value);
  return number === null ? null : number / by;
};

/** Works for cgroup v1 and v2: runc reports nanoseconds for both. Null for other text. */
export function usageOfEvent(text: string): Usage | null {
  let data: Figures | undefined;
  try {
    data = (JSON.parse(text) as { data?: Figures } | null)?.data;
  } catch {
    return null;
  }
  if (data === undefined) return null;
  const { cpu, memory, pids } = data;
  const bytes = numberOf(memory?.usage?.usage);
  // v1 counts the whole tree under `total_` names, v2 has only one name.
  const cache = numberOf(memory?.raw?.total_inactive_file) ?? numberOf(memory?.raw?.inactive_file) ?? 0;
  const outside = (data.network_interfaces ?? []).filter(({ Name }) => Name !== "lo");
  const sum = (of: "RxBytes" | "TxBytes"): number | null =>
    outside.length === 0 ? null : outside.reduce((total, one) => total + (numberOf(one[of]) ?? 0), 0);
  // v2 has no peak here; runc then reports 0.
  const peak = numberOf(memory?.usage?.max);
  return {
    cpu_seconds_total: scaled(cpu?.usage?.total, 1e9),
    memory_mb: bytes === null ? null : Math.max(0, bytes - cache) / MB,
    memory_peak_mb: peak === null || peak === 0 ? null : peak / MB,
    pids: numberOf(pids?.current),
    throttled_periods: numberOf(cpu?.throttling?.throttledPeriods),
    throttled_seconds: scaled(cpu?.throttling?.throttledTime, 1e9),
    oom_kills: null,
    network_rx_bytes: sum("RxBytes"),
    network_tx_bytes: sum("TxBytes"),
  };
}
