/** cgroup v1: one hierarchy for each controller. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Limits } from "../../../stack/definition/types.js";
import type { AppliedLimits, Enforcement } from "../../../stack/runtime.js";
import { keyed, numberOf } from "../../shared/kernel-counters.js";
import {
  applied,
  type Cgroup,
  type CgroupFactory,
  CPU_PERIOD_US,
  endCgroup,
  limitValue,
  lowest,
  MB,
  read,
  type Usage,
  write,
} from "./cgroup.js";

/**
 * Directory of the parent in each hierarchy. A missing entry means that the controller does not exist or cannot be
 * used.
 */
export interface V1Parents {
  memory?: string;
  cpu?: string;
  cpuacct?: string;
  pids?: string;
}

const ENFORCED: Enforcement = { level: "enforced", reason: "cgroup v1" };
const by = (controller: string, directory: string | undefined): Enforcement =>
  directory === undefined
    ? { level: "none", reason: `the ${controller} controller of cgroup v1 cannot be used here` }
    : ENFORCED;

class V1Cgroup implements Cgroup {
  readonly directories: string[];
  readonly procsFiles: string[];

  constructor(private readonly at: V1Parents) {
    // `cpu` and `cpuacct` are often one hierarchy.
    this.directories = [...new Set(Object.values(at).filter((one): one is string => one !== undefined))];
    this.procsFiles = this.directories.map((directory) => join(directory, "cgroup.procs"));
  }

  async setLimits(limits: Limits): Promise<AppliedLimits> {
    const { memory, cpu, pids } = this.at;
    if (memory !== undefined) await setMemory(memory, limits.memory_mb);
    if (cpu !== undefined) {
      await write(cpu, "cpu.cfs_period_us", CPU_PERIOD_US);
      await write(cpu, "cpu.cfs_quota_us", limits.cpus === undefined ? -1 : Math.round(limits.cpus * CPU_PERIOD_US));
    }
    if (pids !== undefined) await write(pids, "pids.max", limits.pids ?? "max");
    return this.readLimits();
  }

  async readLimits(): Promise<AppliedLimits> {
    const { memory, cpu, pids } = this.at;
    const bytes = memory === undefined ? null : limitValue(await read(memory, "memory.limit_in_bytes"));
    const quota = cpu === undefined ? null : limitValue(await read(cpu, "cpu.cfs_quota_us"));
    const period = cpu === undefined ? null : limitValue(await read(cpu, "cpu.cfs_period_us"));
    const most = pids === undefined ? null : limitValue(await read(pids, "pids.max"));
    return {
      cpus: applied(quota === null ? null : quota / (period ?? CPU_PERIOD_US), by("cpu", cpu)),
      memory_mb: applied(bytes === null ? null : bytes / MB, by("memory", memory)),
      pids: applied(most, by("pids", pids)),
    };
  }

  async usage(): Promise<Usage> {
    const { memory, cpu, cpuacct, pids } = this.at;
    const from = (directory: string | undefined, file: string): Promise<string | null> =>
      directory === undefined ? Promise.resolve(null) : read(directory, file);
    const [used, peak, stat, oom, nanos, throttled, count] = await Promise.all([
      from(memory, "memory.usage_in_bytes"),
      from(memory, "memory.max_usage_in_bytes"),
      from(memory, "memory.stat"),
      from(memory, "memory.oom_control"),
      from(cpuacct, "cpuacct.usage"),
      from(cpu, "cpu.stat"),
      from(pids, "pids.current"),
    ]);
    const mb = (text: string | null): number | null => {
      const bytes = numberOf(text);
      return bytes === null ? null : bytes / MB;
    };
    const bytes = numberOf(used);
    // Page cache that the kernel can reclaim at any time does not count as memory of the service.
    const cache = keyed(stat, "total_inactive_file") ?? 0;
    const ns = numberOf(nanos);
    const throttledNs = keyed(throttled, "throttled_time");
    return {
      cpu_seconds_total: ns === null ? null : ns / 1e9,
      memory_mb: bytes === null ? null : Math.max(0, bytes - cache) / MB,
      memory_peak_mb: mb(peak),
      pids: numberOf(count),
      throttled_periods: keyed(throttled, "nr_throttled"),
      throttled_seconds: throttledNs === null ? null : throttledNs / 1e9,
      oom_kills: keyed(oom, "oom_kill"),
    };
  }
}

/**
 * The limit with swap may never be below the limit without it, so the direction of the change decides which is written
 * first.
 */
async function setMemory(directory: string, mb: number | undefined): Promise<void> {
  const bytes = mb === undefined ? -1 : Math.floor(mb * MB);
  const withSwap = (await read(directory, "memory.memsw.limit_in_bytes")) !== null;
  const plain = (): Promise<void> => write(directory, "memory.limit_in_bytes", bytes);
  if (!withSwap) return plain();
  const both = (): Promise<void> => write(directory, "memory.memsw.limit_in_bytes", bytes);
  const present = limitValue(await read(directory, "memory.limit_in_bytes")) ?? Number.POSITIVE_INFINITY;
  if (bytes === -1 || bytes > present) {
    await both();
    await plain();
  } else {
    await plain();
    await both();
  }
}

export class V1Factory implements CgroupFactory {
  readonly enforcement: Enforcement;

  constructor(private readonly parents: V1Parents) {
    const missing = (["memory", "cpu", "pids"] as const).filter((name) => parents[name] === undefined);
    this.enforcement =
      missing.length === 0
        ? ENFORCED
        : { level: "advisory", reason: `cgroup v1 without its ${missing.join(" and ")} controller` };
  }

  async bounds(): Promise<{ cpus: number | null; memory_mb: number | null }> {
    const { cpu, memory } = this.parents;
    return {
      cpus: await lowest(cpu, async (one) => (await new V1Cgroup({ cpu: one }).readLimits()).cpus.value),
      memory_mb: await lowest(
        memory,
        async (one) => (await new V1Cgroup({ memory: one }).readLimits()).memory_mb.value,
      ),
    };
  }

  directories(name: string): string[] {
    return this.#at(name).directories;
  }

  async create(name: string): Promise<Cgroup> {
    const cgroup = this.#at(name);
    const directories: string[] = [];
    try {
      for (const directory of cgroup.directories) {
        await mkdir(directory);
        directories.push(directory);
      }
    } catch (error) {
      await endCgroup(directories).catch(() => undefined);
      throw error;
    }
    return cgroup;
  }

  #at(name: string): V1Cgroup {
    const entries = Object.entries(this.parents).map(([controller, parent]) => [controller, join(parent, name)]);
    return new V1Cgroup(Object.fromEntries(entries) as V1Parents);
  }
}
