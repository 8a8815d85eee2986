/** Usage of services: what the server kept before the page opened, and samples since. */
import type { StatsReport } from "./types.js";

/** Longest history that is kept and shown. */
export const WINDOW_MS = 3_600_000;
/** Shortest time span of a plot, so that the first samples do not fill its whole width. */
export const LEAST_MS = 60_000;

export interface Sample {
  /** Epoch milliseconds. */
  time: number;
  cpus: number | null;
  memory_mb: number | null;
}

export class History {
  readonly #samples = new Map<string, Sample[]>();

  /** A report with `history` replaces the samples before it. */
  add(report: StatsReport, now: number): void {
    for (const [service, { stats, history }] of Object.entries(report.services)) {
      const past = history?.map((sample) => ({ ...sample, time: Date.parse(sample.time) }));
      const samples = past ?? this.#samples.get(service) ?? [];
      samples.push({ time: now, cpus: stats?.cpu_cores ?? null, memory_mb: stats?.memory_mb ?? null });
      while (samples[0] !== undefined && samples[0].time < now - WINDOW_MS) samples.shift();
      this.#samples.set(service, samples);
    }
  }

  of(service: string): readonly Sample[] {
    return this.#samples.get(service) ?? [];
  }
}
