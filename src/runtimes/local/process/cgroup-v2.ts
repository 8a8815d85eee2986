/** cgroup v2: one hierarchy; the parent decides which controllers a child has. */
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
  limitValue,
  lowest,
  MB,
  read,
  type Usage,
  write,
} from "./cgroup.js";

export type V2Controller = "memory" | "cpu" | "pids";

const ENFORCED: Enforcement = { level: "enforced", reason: "cgroup v2" };

class V2Cgroup implements Cgroup {
  readonly directories: string[];
  readonly procsFiles: string[];

  constructor(
    private readonly directory: string,
    private readonly controllers: ReadonlySet<V2Controller>,
  ) {
    this.directories = [directory];
    this.procsFiles = [join(directory, "cgroup.procs")];
  }

  async setLimits(limits: Limits): Promise<AppliedLimits> {
    const { directory, controllers } = this;
    if (controllers.has("memory")) {
      await write(directory, "memory.max", limits.memory_mb === undefined ? "max" : Math.floor(limits.memory_mb * MB));
      // Without this, the memory limit would only move memory to swap. The file is missing where the kernel has no swap
      // accounting.
      if ((await read(directory, "memory.swap.max")) !== null)
        await write(directory, "memory.swap.max", limits.memory_mb === undefined ? "max" : 0);
    }
    if (controllers.has("cpu")) {
      const quota = limits.cpus === undefined ? "max" : Math.round(limits.cpus * CPU_PERIOD_US);
      await write(directory, "cpu.max", `${quota} ${CPU_PERIOD_US}`);
    }
    if (controllers.has("pids")) await write(directory, "pids.max", limits.pids ?? "max");
    return this.readLimits();
  }

  async readLimits(): Promise<AppliedLimits> {
    const { directory } = this;
    const [memory, cpu, pids] = await Promise.all([
      read(directory, "memory.max"),
      read(directory, "cpu.max"),
      read(directory, "pids.max"),
    ]);
    const bytes = limitValue(memory);
    const [quota = null, period = null] = cpu?.split(" ") ?? [];
    const cores = limitValue(quota);
    return {
      cpus: applied(cores === null ? null : cores / (limitValue(period) ?? CPU_PERIOD_US), this.#by("cpu")),
      memory_mb: applied(bytes === null ? null : bytes / MB, this.#by("memory")),
      pids: applied(limitValue(pids), this.#by("pids")),
    };
  }

  async usage(): Promise<Usage> {
    const { directory } = this;
    const [current, peak, memoryStat, events, cpu, pids] = await Promise.all([
      read(directory, "memory.current"),
      read(directory, "memory.peak"),
      read(directory, "memory.stat"),
      read(directory, "memory.events"),
      read(directory, "cpu.stat"),
      read(directory, "pids.current"),
    ]);
    const bytes = numberOf(current);
    const most = numberOf(peak);
    const seconds = (key: string): number | null => {
      const micros = keyed(cpu, key);
      return micros === null ? null : micros / 1e6;
    };
    return {
      cpu_seconds_total: seconds("usage_usec"),
      // Page cache that the kernel can reclaim at any time does not count as memory of the service.
      memory_mb: bytes === null ? null : Math.max(0, bytes - (keyed(memoryStat, "inactive_file") ?? 0)) / MB,
      memory_peak_mb: most === null ? null : most / MB,
      pids: numberOf(pids),
      throttled_periods: keyed(cpu, "nr_throttled"),
      throttled_seconds: seconds("throttled_usec"),
      oom_kills: keyed(events, "oom_kill"),
    };
  }

  #by(controller: V2Controller): Enforcement {
    return this.controllers.has(controller)
      ? ENFORCED
      : { level: "none", reason: `the ${controller} controller is not delegated to this server (cgroup v2)` };
  }
}

export class V2Factory implements CgroupFactory {
  readonly enforcement: Enforcement;

  constructor(
    private readonly parent: string,
    private readonly controllers: ReadonlySet<V2Controller>,
  ) {
    const missing = (["memory", "cpu", "pids"] as const).filter((name) => !controllers.has(name));
    this.enforcement =
      missing.length === 0
        ? ENFORCED
        : { level: "advisory", reason: `cgroup v2 without its ${missing.join(" and ")} controller` };
  }

  async bounds(): Promise<{ cpus: number | null; memory_mb: number | null }> {
    const of = (directory: string) => new V2Cgroup(directory, this.controllers).readLimits();
    return {
      cpus: await lowest(this.parent, async (one) => (await of(one)).cpus.value),
      memory_mb: await lowest(this.parent, async (one) => (await of(one)).memory_mb.value),
    };
  }

  directories(name: string): string[] {
    return [join(this.parent, name)];
  }

  async create(name: string): Promise<Cgroup> {
    const directory = join(this.parent, name);
    await mkdir(directory);
    return new V2Cgroup(directory, this.controllers);
  }
}
