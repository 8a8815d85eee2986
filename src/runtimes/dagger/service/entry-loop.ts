/** Results of the health check that the entry script runs inside the container. */

import type { HealthTest } from "../../../stack/definition/types.js";
import { waitUntil } from "../../../system/wait.js";
import type { EntryHealth } from "./instance-output.js";

export class EntryLoop {
  #last: { health: EntryHealth; at: number } | null = null;
  readonly #waiting = new Set<() => void>();

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
    for (const notify of [...this.#waiting]) notify();
  }

  /** The last result when it is current, else the next one. Rejects when the signal aborts. */
  async result(signal: AbortSignal): Promise<EntryHealth> {
    let health: EntryHealth | null = null;
    await waitUntil({
      check: () => {
        if (this.#last !== null && this.now() - this.#last.at <= this.freshMs) health = this.#last.health;
        return health !== null;
      },
      subscribe: (notify) => {
        this.#waiting.add(notify);
        return () => this.#waiting.delete(notify);
      },
      signal,
    });
    if (health === null) throw signal.reason;
    return health;
  }
}
