/** Bounds of one operation on a tree that a project or a service fills. */

export interface Limits {
  entries: number;
  bytes: number;
  milliseconds: number;
}

export class Budget {
  #entries: number;
  #bytes: number;
  readonly #until: number;

  /** @param exceeded makes the error to throw */
  constructor(
    limits: Partial<Limits>,
    private readonly exceeded: (what: keyof Limits) => Error,
  ) {
    this.#entries = limits.entries ?? Number.POSITIVE_INFINITY;
    this.#bytes = limits.bytes ?? Number.POSITIVE_INFINITY;
    this.#until = Date.now() + (limits.milliseconds ?? Number.POSITIVE_INFINITY);
  }

  get entriesLeft(): number {
    return this.#entries;
  }

  /** One more entry. Also checks the time. */
  entry(): void {
    this.#entries -= 1;
    if (this.#entries < 0) throw this.exceeded("entries");
    if (Date.now() > this.#until) throw this.exceeded("milliseconds");
  }

  /** Whether so many bytes would be too many; nothing is counted. */
  expectBytes(count: number): void {
    if (count > this.#bytes) throw this.exceeded("bytes");
  }

  bytes(count: number): void {
    this.#bytes -= count;
    if (this.#bytes < 0) throw this.exceeded("bytes");
  }
}
