/** Counts the processes of one service that the kernel killed at the memory limit, without those of its commands. */
import type { RuntimeService, ServiceStats } from "../runtime.js";

/** Minimum milliseconds between two reports of one instance. */
const REPORT_MS = 60_000;

export class OomKills {
  #instance: RuntimeService | null = null;
  /** Kills of the instance's commands. */
  #ofCommands = 0;
  #seen = 0;
  #reported = 0;
  #reportedAt = Number.NEGATIVE_INFINITY;

  /** @param clock milliseconds */
  constructor(private readonly clock: () => number = () => performance.now()) {}

  /** Kills of the instance's commands. They say nothing about the memory that the service itself needs. */
  ofCommands(instance: RuntimeService | null): number {
    return instance === this.#instance ? this.#ofCommands : 0;
  }

  /** Attributes the kills since the last observation to a command. Call when the kernel has killed one. */
  attribute(instance: RuntimeService, { oom_kills }: ServiceStats): void {
    this.#turnTo(instance);
    const kills = oom_kills ?? 0;
    this.#ofCommands += Math.max(0, kills - this.#seen);
    this.#seen = Math.max(this.#seen, kills);
  }

  /** @returns the number of kills of the service to report now; 0 when there are none, or after a recent report */
  observe(instance: RuntimeService, { oom_kills }: ServiceStats): number {
    this.#turnTo(instance);
    this.#seen = Math.max(this.#seen, oom_kills ?? 0);
    const unreported = this.#seen - this.#ofCommands - this.#reported;
    if (unreported <= 0 || this.clock() - this.#reportedAt < REPORT_MS) return 0;
    this.#reported += unreported;
    this.#reportedAt = this.clock();
    return unreported;
  }

  #turnTo(instance: RuntimeService): void {
    if (instance === this.#instance) return;
    this.#instance = instance;
    this.#ofCommands = 0;
    this.#seen = 0;
    this.#reported = 0;
    this.#reportedAt = Number.NEGATIVE_INFINITY;
  }
}
