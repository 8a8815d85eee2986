/** Work that several callers request at the same time runs once. */
export class SharedWork {
  readonly #underWay = new Map<string, Promise<unknown>>();

  /**
   * @param key identifies the work and its parameters
   * @returns the result of the same work in progress, else of `work`. Nothing is kept after its end.
   */
  run<T>(key: string, work: () => Promise<T>): Promise<T> {
    const present = this.#underWay.get(key) as Promise<T> | undefined;
    if (present !== undefined) return present;
    const running = work().finally(() => this.#underWay.delete(key));
    this.#underWay.set(key, running);
    return running;
  }
}
