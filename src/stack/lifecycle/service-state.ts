/** A service's state, and those who wait for it to become another one. */
import type { ServiceState } from "../model.js";

export class WatchedState {
  #current: ServiceState = "pending";
  readonly #watchers = new Set<() => void>();

  /** @param changed told after every change, when who waits was told */
  constructor(private readonly changed: () => void) {}

  get current(): ServiceState {
    return this.#current;
  }

  to(state: ServiceState): void {
    this.#current = state;
    for (const look of [...this.#watchers]) look();
    this.changed();
  }

  /** Resolves when the condition holds; looked at now and after every change. */
  until(condition: () => boolean, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const end = (): void => {
        this.#watchers.delete(look);
        signal.removeEventListener("abort", abort);
      };
      const look = (): void => {
        if (!condition()) return;
        end();
        resolve();
      };
      const abort = (): void => {
        end();
        reject(signal.reason);
      };
      this.#watchers.add(look);
      signal.addEventListener("abort", abort, { once: true });
      if (signal.aborted) abort();
      else look();
    });
  }
}
