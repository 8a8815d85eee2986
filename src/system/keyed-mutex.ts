/** Runs tasks that share a name one after the other, and all others in parallel. */
export class KeyedMutex {
  readonly #held = new Set<string>();
  #waiting: (() => void)[] = [];

  /** Takes all names at once, so that no task waits while it holds some of them. */
  async run<T>(names: readonly string[], task: () => Promise<T>): Promise<T> {
    while (names.some((name) => this.#held.has(name)))
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    for (const name of names) this.#held.add(name);
    try {
      return await task();
    } finally {
      for (const name of names) this.#held.delete(name);
      const waiting = this.#waiting;
      this.#waiting = [];
      for (const wake of waiting) wake();
    }
  }
}
