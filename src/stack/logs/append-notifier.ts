/** Tells who waits for new lines. A flood wakes them once a tick, not once a line. */

/** So much more may come before a woken reader looks: one answer for a burst, in milliseconds. */
const GATHER_MS = 50;
const LONGEST_TIMER_MS = 2 ** 31 - 1;

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
    // A listener given twice is two listeners.
    const own = (service: string): void => listener(service);
    this.#listeners.add(own);
    return () => this.#listeners.delete(own);
  }

  /** True soon after `has` holds; false at the deadline (epoch milliseconds), on abort and when closed. */
  async until(has: () => boolean, deadline: number, signal?: AbortSignal): Promise<boolean> {
    const over = (): boolean => this.#closed || Date.now() >= deadline || signal?.aborted === true;
    if (!has() && !over()) await this.#changed(has, deadline, signal);
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
          // Whoever listens must not stop a service's output.
        }
      }
    }
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, Math.max(0, ms)));
  }

  #changed(has: () => boolean, deadline: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const check = (): void => {
        if (has() || this.#closed) done();
      };
      const done = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(check);
        signal?.removeEventListener("abort", done);
        resolve();
      };
      const timer = setTimeout(done, Math.min(LONGEST_TIMER_MS, deadline - Date.now()));
      this.#waiting.add(check);
      signal?.addEventListener("abort", done, { once: true });
    });
  }
}
