/** CPU and memory usage of a running stack over the last hour. */
import type { ServiceStats } from "../runtime.js";
import type { UsageSample } from "../schemas/stack.js";

const INTERVAL_MS = 15_000;
const KEPT_MS = 3_600_000;

export interface UsageSource {
  readonly name: string;
  readonly instance: { stats(): Promise<ServiceStats> } | null;
  /** Receives every measurement of the present instance. */
  observeUsage?(stats: ServiceStats): void;
}

export class UsageHistory {
  readonly #samples = new Map<string, UsageSample[]>();
  #timer: NodeJS.Timeout | undefined;
  #measuring = false;

  /**
   * @param sources the present services, read at each interval
   * @param clock epoch milliseconds
   */
  constructor(
    private readonly sources: () => Iterable<UsageSource>,
    private readonly clock: () => number = Date.now,
  ) {}

  start(intervalMs = INTERVAL_MS): void {
    this.#timer ??= setInterval(() => void this.measure(), intervalMs).unref();
  }

  close(): void {
    clearInterval(this.#timer);
  }

  /** Oldest first. */
  of(service: string): readonly UsageSample[] {
    return this.#samples.get(service) ?? [];
  }

  /** Adds one sample for each running service. Skipped while an earlier measurement still waits for the runtime. */
  async measure(): Promise<void> {
    if (this.#measuring) return;
    this.#measuring = true;
    const sources = [...this.sources()];
    for (const name of this.#samples.keys())
      if (!sources.some((source) => source.name === name)) this.#samples.delete(name);
    await Promise.all(sources.map((source) => this.#measure(source)));
    this.#measuring = false;
  }

  async #measure(source: UsageSource): Promise<void> {
    const { name, instance } = source;
    // An instance that ends during the measurement has no sample.
    const stats = (await instance?.stats().catch(() => null)) ?? null;
    if (stats === null) return;
    if (source.instance === instance) source.observeUsage?.(stats);
    const now = this.clock();
    const samples = (this.#samples.get(name) ?? []).filter(({ time }) => Date.parse(time) > now - KEPT_MS);
    samples.push({ time: new Date(now).toISOString(), cpus: stats.cpu_cores, memory_mb: stats.memory_mb });
    this.#samples.set(name, samples);
  }
}
