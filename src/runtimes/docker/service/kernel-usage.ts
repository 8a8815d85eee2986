/**
 * Usage of a container from this machine's kernel, when the engine runs on the same kernel. The engine itself answers
 * only after its next measurement, up to one second later.
 */
import { keyed, numberOf } from "../../shared/kernel-counters.js";
import { groups, parseCgroup, text } from "./kernel-view.js";

/** The parts of the engine's statistics that are reported. */
export interface RawStats {
  cpu_stats?: {
    cpu_usage?: { total_usage?: number };
    throttling_data?: { throttled_periods?: number; throttled_time?: number };
  };
  memory_stats?: {
    usage?: number;
    max_usage?: number;
    stats?: { inactive_file?: number; total_inactive_file?: number };
  };
  pids_stats?: { current?: number };
  networks?: Record<string, { rx_bytes?: number; tx_bytes?: number }>;
}

type Networks = NonNullable<RawStats["networks"]>;

const MICRO = 1000;

/** Bytes by interface from /proc/<pid>/net/dev, without the loopback interface. */
function networksOf(table: string): Networks {
  const networks: Networks = {};
  for (const line of table.split("\n")) {
    const [, name, values = ""] = /^\s*([^\s:]+):\s*(.*)$/.exec(line) ?? [];
    if (name === undefined || name === "lo") continue;
    const numbers = values.trim().split(/\s+/).map(Number);
    networks[name] = { rx_bytes: numbers[0] ?? 0, tx_bytes: numbers[8] ?? 0 };
  }
  return networks;
}

const withNumber = <K extends string>(name: K, value: number | null): { [key in K]?: number } =>
  (value === null ? {} : { [name]: value }) as { [key in K]?: number };

/**
 * @param pid the container's main process on this machine; 0 when it is unknown
 * @param root root of the cgroup hierarchies; tests pass another one, as for `proc`
 * @returns null when the container's control groups cannot be read
 */
export async function kernelUsage(
  pid: number,
  container: string,
  root = "/sys/fs/cgroup",
  proc = "/proc",
): Promise<RawStats | null> {
  const lines = await groups(pid, container, proc);
  if (lines === null) return null;
  const old = parseCgroup(lines, "memory") !== null;
  const at = async (controller: string, file: string): Promise<string | null> => {
    const path = parseCgroup(lines, old ? controller : "");
    // A path without the container's id is of another group: the limits of the machine's root, for example.
    if (path === null || !path.includes(container)) return null;
    return text(`${root}${old ? `/${controller}` : ""}${path}/${file}`);
  };
  const [cpu, used, memory, usage, peak, pids, network] = await Promise.all([
    at("cpu", "cpu.stat"),
    old ? at("cpuacct", "cpuacct.usage") : null,
    at("memory", "memory.stat"),
    at("memory", old ? "memory.usage_in_bytes" : "memory.current"),
    at("memory", old ? "memory.max_usage_in_bytes" : "memory.peak"),
    at("pids", "pids.current"),
    text(`${proc}/${pid}/net/dev`),
  ]);
  /** Nanoseconds of a counter in microseconds. */
  const nanoseconds = (name: string): number | null => {
    const microseconds = keyed(cpu, name);
    return microseconds === null ? null : microseconds * MICRO;
  };
  const total = old ? numberOf(used) : nanoseconds("usage_usec");
  const bytes = numberOf(usage);
  if (total === null || bytes === null) return null;
  return {
    cpu_stats: {
      cpu_usage: { total_usage: total },
      throttling_data: {
        ...withNumber("throttled_periods", keyed(cpu, "nr_throttled")),
        ...withNumber("throttled_time", old ? keyed(cpu, "throttled_time") : nanoseconds("throttled_usec")),
      },
    },
    memory_stats: {
      usage: bytes,
      ...withNumber("max_usage", numberOf(peak)),
      stats: withNumber("inactive_file", keyed(memory, old ? "total_inactive_file" : "inactive_file")),
    },
    pids_stats: withNumber("current", numberOf(pids)),
    ...(network === null ? {} : { networks: networksOf(network) }),
  };
}
