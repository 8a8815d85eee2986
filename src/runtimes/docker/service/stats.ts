/** Usage of a container, as measured by this machine's kernel, else by the engine. */
import type Docker from "dockerode";
import type { ServiceStats } from "../../../stack/runtime.js";
import { NO_STATS } from "../../shared/no-stats.js";
import { kernelUsage, type RawStats } from "./kernel-usage.js";

const MB = 1_048_576;
const NANO = 1_000_000_000;

interface Sample {
  at: number;
  seconds: number;
}

const sum = (values: (number | undefined)[]): number => values.reduce<number>((total, one) => total + (one ?? 0), 0);

export class ContainerStats {
  #last: Sample | null = null;

  constructor(
    private readonly docker: Docker,
    private readonly container: string,
    private readonly oomKills: () => number,
    /** The container's main process on this machine; 0 when the engine runs on another kernel. */
    private readonly pid = 0,
  ) {}

  /** @throws the engine's error */
  async sample(): Promise<ServiceStats> {
    const raw = (await kernelUsage(this.pid, this.container)) ?? (await this.#ofEngine());
    const used = raw.cpu_stats?.cpu_usage?.total_usage;
    const { usage, max_usage, stats } = raw.memory_stats ?? {};
    if (used === undefined || usage === undefined) return { ...NO_STATS, reason: "the engine reports no usage for it" };
    const now = { at: Date.now(), seconds: used / NANO };
    const before = this.#last;
    this.#last = now;
    const throttling = raw.cpu_stats?.throttling_data;
    const networks = Object.values(raw.networks ?? {});
    const cores =
      before === null || now.at <= before.at ? null : ((now.seconds - before.seconds) * 1000) / (now.at - before.at);
    return {
      cpu_cores: cores === null ? null : Math.max(0, cores),
      cpu_seconds_total: now.seconds,
      // As in `docker stats`: without page cache that the kernel can reclaim.
      memory_mb: Math.max(0, usage - (stats?.inactive_file ?? stats?.total_inactive_file ?? 0)) / MB,
      memory_peak_mb: max_usage === undefined ? null : max_usage / MB,
      pids: raw.pids_stats?.current ?? null,
      throttled_periods: throttling?.throttled_periods ?? null,
      throttled_seconds: throttling?.throttled_time === undefined ? null : throttling.throttled_time / NANO,
      oom_kills: this.oomKills(),
      network_rx_bytes: networks.length === 0 ? null : sum(networks.map(({ rx_bytes }) => rx_bytes)),
      network_tx_bytes: networks.length === 0 ? null : sum(networks.map(({ tx_bytes }) => tx_bytes)),
      reason: max_usage === undefined ? "the memory peak is not reported" : null,
    };
  }

  async #ofEngine(): Promise<RawStats> {
    const container = this.docker.getContainer(this.container);
    return (await container.stats({ stream: false, "one-shot": true })) as unknown as RawStats;
  }
}
