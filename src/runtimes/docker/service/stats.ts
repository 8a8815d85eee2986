/** Usage of a container, as measured by the engine. */
import type Docker from "dockerode";
import type { ServiceStats } from "../../../stack/runtime.js";
import { NO_STATS } from "../../shared/no-stats.js";

const MB = 1_048_576;
const NANO = 1_000_000_000;

interface RawStats {
  read?: string;
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
  ) {}

  /** @throws the engine's error */
  async sample(): Promise<ServiceStats> {
    const raw = (await this.docker
      .getContainer(this.container)
      .stats({ stream: false, "one-shot": true })) as unknown as RawStats;
    const used = raw.cpu_stats?.cpu_usage?.total_usage;
    const { usage, max_usage, stats } = raw.memory_stats ?? {};
    if (used === undefined || usage === undefined) return { ...NO_STATS, reason: "the engine counts nothing for it" };
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
      reason: max_usage === undefined ? "the engine does not report the memory peak" : null,
    };
  }
}
