/** Parses the kernel's view of a running container: lines `file:line` from its cgroup, its network and its process. */

import type { AppliedLimits, Enforcement, ServiceStats } from "../../../stack/runtime.js";
import { numberOf } from "../../shared/kernel-counters.js";
import { NO_LIMIT } from "../../shared/no-limit.js";
import { CPU_PERIOD_US, MB } from "./limit-values.js";
import type { HostUser } from "./types.js";

/** Kernels represent "unlimited" as a number near 2^63. */
const UNLIMITED_BYTES = 2 ** 60;

export type HostSnapshot = ReadonlyMap<string, string[]>;

export function parseSnapshot(text: string): HostSnapshot {
  const files = new Map<string, string[]>();
  for (const line of text.split("\n")) {
    const colon = line.indexOf(":");
    if (colon < 0) continue;
    const file = line.slice(0, colon);
    const lines = files.get(file);
    if (lines === undefined) files.set(file, [line.slice(colon + 1)]);
    else lines.push(line.slice(colon + 1));
  }
  return files;
}

const first = (snapshot: HostSnapshot, file: string): string | undefined => snapshot.get(file)?.[0];

/** Null for `max`, -1, "unlimited" and other text. */
export function limitOf(text: string | undefined): number | null {
  const value = numberOf(text);
  return value !== null && value >= 0 && value < UNLIMITED_BYTES ? value : null;
}

/** A line `key value` of a file. */
function keyed(snapshot: HostSnapshot, file: string, key: string): number | null {
  const line = snapshot.get(file)?.find((one) => one.startsWith(`${key} `));
  return numberOf(line?.slice(key.length + 1));
}

export const cgroupVersion = (snapshot: HostSnapshot): "v1" | "v2" | null =>
  snapshot.has("memory.max") || snapshot.has("cpu.max") || snapshot.has("pids.max")
    ? "v2"
    : [...snapshot.keys()].some((file) => /^(memory|cpu|pids)\//.test(file))
      ? "v1"
      : null;

const scaled = (value: number | null, by: number): number | null => (value === null ? null : value / by);

/** CPU cores from a quota and its period. */
export function cores(quota: string | undefined, period: string | undefined): number | null {
  const microseconds = limitOf(quota);
  return microseconds === null ? null : microseconds / (limitOf(period) ?? CPU_PERIOD_US);
}

export function parseLimits(snapshot: HostSnapshot): AppliedLimits {
  const version = cgroupVersion(snapshot);
  const entry = (value: number | null, file: string): { value: number | null; enforcement: Enforcement } => {
    const level = value === null ? "none" : "enforced";
    const reason =
      value !== null
        ? `cgroup ${version}`
        : snapshot.has(file)
          ? NO_LIMIT.reason
          : `the limit cannot be read back: the service's cgroup shows no ${file}`;
    return { value, enforcement: { level, reason } };
  };
  if (version === "v2") {
    const [quota, period] = (first(snapshot, "cpu.max") ?? "").split(" ");
    return {
      cpus: entry(cores(quota, period), "cpu.max"),
      memory_mb: entry(scaled(limitOf(first(snapshot, "memory.max")), MB), "memory.max"),
      pids: entry(limitOf(first(snapshot, "pids.max")), "pids.max"),
    };
  }
  const quota = cores(first(snapshot, "cpu/cpu.cfs_quota_us"), first(snapshot, "cpu/cpu.cfs_period_us"));
  const memory = limitOf(first(snapshot, "memory/memory.limit_in_bytes"));
  return {
    cpus: entry(quota, "cpu/cpu.cfs_quota_us"),
    memory_mb: entry(scaled(memory, MB), "memory/memory.limit_in_bytes"),
    pids: entry(limitOf(first(snapshot, "pids/pids.max")), "pids/pids.max"),
  };
}

export type Usage = Omit<ServiceStats, "cpu_cores" | "reason">;

/** Received and sent bytes of all interfaces but loopback. */
function network(snapshot: HostSnapshot): { network_rx_bytes: number | null; network_tx_bytes: number | null } {
  const rows = (snapshot.get("net") ?? []).flatMap((line) => {
    const [, name = "", figures = ""] = /^\s*([^:\s]+):(.*)$/.exec(line) ?? [];
    const columns = figures.trim().split(/\s+/).map(Number);
    return name === "" || name === "lo" || columns.length < 9 ? [] : [columns];
  });
  const sum = (column: number): number | null =>
    rows.length === 0 ? null : rows.reduce((total, row) => total + (row[column] ?? 0), 0);
  return { network_rx_bytes: sum(0), network_tx_bytes: sum(8) };
}

export function parseUsage(snapshot: HostSnapshot): Usage {
  const v2 = cgroupVersion(snapshot) === "v2";
  // Page cache that the kernel can reclaim at any time does not count as memory of the service.
  const used = v2 ? first(snapshot, "memory.current") : first(snapshot, "memory/memory.usage_in_bytes");
  const cache = v2
    ? keyed(snapshot, "memory.stat", "inactive_file")
    : keyed(snapshot, "memory/memory.stat", "total_inactive_file");
  const bytes = numberOf(used);
  return {
    cpu_seconds_total: v2
      ? scaled(keyed(snapshot, "cpu.stat", "usage_usec"), 1e6)
      : scaled(numberOf(first(snapshot, "cpuacct/cpuacct.usage")), 1e9),
    memory_mb: bytes === null ? null : Math.max(0, bytes - (cache ?? 0)) / MB,
    memory_peak_mb: scaled(numberOf(first(snapshot, v2 ? "memory.peak" : "memory/memory.max_usage_in_bytes")), MB),
    pids: numberOf(first(snapshot, v2 ? "pids.current" : "pids/pids.current")),
    throttled_periods: keyed(snapshot, v2 ? "cpu.stat" : "cpu/cpu.stat", "nr_throttled"),
    throttled_seconds: v2
      ? scaled(keyed(snapshot, "cpu.stat", "throttled_usec"), 1e6)
      : scaled(keyed(snapshot, "cpu/cpu.stat", "throttled_time"), 1e9),
    oom_kills: v2
      ? keyed(snapshot, "memory.events", "oom_kill")
      : keyed(snapshot, "memory/memory.oom_control", "oom_kill"),
    ...network(snapshot),
  };
}

/** Null when the process has ended. */
export function parseUser(snapshot: HostSnapshot): HostUser | null {
  const words = (name: string): string[] =>
    (snapshot.get("status") ?? [])
      .find((line) => line.startsWith(`${name}:`))
      ?.split(/\s+/)
      .slice(1) ?? [];
  const [uid, gid] = [Number(words("Uid")[1]), Number(words("Gid")[1])];
  if (!Number.isInteger(uid) || !Number.isInteger(gid)) return null;
  return {
    uid,
    gid,
    noNewPrivileges: words("NoNewPrivs")[0] === "1",
    withoutCapabilities: ["CapInh", "CapPrm", "CapEff", "CapAmb"].every((name) => /^0+$/.test(words(name)[0] ?? "0")),
  };
}
