/** Limits on one operation over a file tree whose content a project or a service controls. */

export interface Limits {
  entries: number;
  bytes: number;
  milliseconds: number;
}

export class Budget {
  #entries: number;
  #bytes: number;
  readonly #until: number;

  /** @param exceeded creates the error to throw for an exceeded limit */
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

  /** Counts one entry and checks the time limit. Throws when a limit is exceeded. */
  entry(): void {
    this.#entries -= 1;
    if (this.#entries < 0) throw this.exceeded("entries");
    if (Date.now() > this.#until) throw this.exceeded("milliseconds");
  }

  /** Throws when this many bytes would exceed the limit, without counting them. */
  expectBytes(count: number): void {
    if (count > this.#bytes) throw this.exceeded("bytes");
  }

  bytes(count: number): void {
    this.#bytes -= count;
    if (this.#bytes < 0) throw this.exceeded("bytes");
  }
}
