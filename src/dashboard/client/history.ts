/** Usage of services while the page is open. */
import type { StatsReport } from "./types.js";

/** Longest history that is kept and shown. */
export const WINDOW_MS = 300_000;
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

  add(report: StatsReport, now: number): void {
    for (const [service, { stats }] of Object.entries(report.services)) {
      const samples = this.#samples.get(service) ?? [];
      samples.push({ time: now, cpus: stats?.cpu_cores ?? null, memory_mb: stats?.memory_mb ?? null });
      while (samples[0] !== undefined && samples[0].time < now - WINDOW_MS) samples.shift();
      this.#samples.set(service, samples);
    }
  }

  of(service: string): readonly Sample[] {
    return this.#samples.get(service) ?? [];
  }
}
