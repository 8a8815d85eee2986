/** Results of the health check that the entry script runs inside the container. */
import type { HealthTest } from "../../../stack/definition/types.js";
import type { EntryHealth } from "./instance-output.js";

export class EntryLoop {
  #last: { health: EntryHealth; at: number } | null = null;
  readonly #waiting = new Set<(health: EntryHealth) => void>();

  constructor(
    private readonly test: HealthTest,
    /** Milliseconds for which a result is current; the next one must arrive by then. */
    private readonly freshMs: number,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** Whether the script runs this check. */
  runs(test: HealthTest): boolean {
    return JSON.stringify(test) === JSON.stringify(this.test);
  }

  take(health: EntryHealth): void {
    this.#last = { health, at: this.now() };
    for (const tell of this.#waiting) tell(health);
    this.#waiting.clear();
  }

  /** The last result when it is current, else the next one. Rejects when the signal aborts. */
  result(signal: AbortSignal): Promise<EntryHealth> {
    if (this.#last !== null && this.now() - this.#last.at <= this.freshMs) return Promise.resolve(this.#last.health);
    return new Promise((resolve, reject) => {
      const abort = () => {
        this.#waiting.delete(tell);
        reject(signal.reason);
      };
      const tell = (health: EntryHealth) => {
        signal.removeEventListener("abort", abort);
        resolve(health);
      };
      if (signal.aborted) return reject(signal.reason);
      this.#waiting.add(tell);
      signal.addEventListener("abort", abort, { once: true });
    });
  }
}
