import { waitUntil } from "../../system/wait.js";

/** Notifies waiting readers of new lines, at most once per tick even during a flood. */

/** Milliseconds between a new line and the wake-up of a reader, so that one answer covers a burst. */
const GATHER_MS = 50;

export class AppendNotifier {
  readonly #listeners = new Set<(service: string) => void>();
  readonly #waiting = new Set<() => void>();
  #due: Set<string> | undefined;
  #closed = false;

  tell(service: string): void {
    if (this.#due !== undefined) {
      this.#due.add(service);
      return;
    }
    this.#due = new Set([service]);
    setImmediate(() => this.#deliver());
  }

  listen(listener: (service: string) => void): () => void {
    // A listener that is registered twice counts as two listeners.
    const own = (service: string): void => listener(service);
    this.#listeners.add(own);
    return () => this.#listeners.delete(own);
  }

  /**
   * Resolves to true shortly after `has` returns true; to false at the deadline (epoch milliseconds), on abort and on
   * close.
   */
  async until(has: () => boolean, deadline: number, signal?: AbortSignal): Promise<boolean> {
    const over = (): boolean => this.#closed || Date.now() >= deadline || signal?.aborted === true;
    await waitUntil({
      check: () => has() || this.#closed,
      subscribe: (notify) => this.#subscribe(notify),
      timeoutMs: Math.max(0, deadline - Date.now()),
      signal,
    });
    if (over() || !has()) return false;
    await this.#pause(Math.min(GATHER_MS, deadline - Date.now()));
    return signal?.aborted !== true;
  }

  /** Ends all waiting. */
  close(): void {
    this.#closed = true;
    for (const check of [...this.#waiting]) check();
  }

  #deliver(): void {
    const due = this.#due ?? [];
    this.#due = undefined;
    for (const check of [...this.#waiting]) check();
    for (const service of due) {
      for (const listener of [...this.#listeners]) {
        try {
          listener(service);
        } catch {
          // An error of a listener must not interrupt a service's output.
        }
      }
    }
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, Math.max(0, ms)));
  }

  #subscribe(notify: () => void): () => void {
    this.#waiting.add(notify);
    return () => this.#waiting.delete(notify);
  }
}
