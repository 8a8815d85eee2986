/** The present definition of a project, for reports. */
import type { StackDefinition } from "../definition/types.js";

/** Milliseconds of a failed read after which reports pause reading. Usual definitions take a few milliseconds. */
const SLOW_READ_MS = 1000;
/** Time without another read, as a multiple of the time that the failed read took. */
const PAUSE_FACTOR = 10;

/**
 * A definition that failed slowly is not read again for a multiple of that time: a hostile file would otherwise delay each
 * report of each client until the reader's deadline. Reports that are requested during a read share the next read.
 */
export class ReportedDefinition {
  #slowFailure: { error: unknown; until: number } | null = null;
  /** Settles with the read in progress. */
  #reading: Promise<unknown> = Promise.resolve();
  #next: Promise<StackDefinition> | null = null;

  /** @param load reads the definition now, without generating secrets */
  constructor(private readonly load: () => Promise<StackDefinition>) {}

  /** @throws what reading throws, or threw when it was slow */
  read(): Promise<StackDefinition> {
    // The read in progress may have passed a file before it changed.
    this.#next ??= this.#reading.then(() => {
      this.#next = null;
      const read = this.#readNow();
      this.#reading = read.catch(() => undefined);
      return read;
    });
    return this.#next;
  }

  async #readNow(): Promise<StackDefinition> {
    if (this.#slowFailure !== null && Date.now() < this.#slowFailure.until) throw this.#slowFailure.error;
    const begun = Date.now();
    try {
      return await this.load();
    } catch (error) {
      const took = Date.now() - begun;
      if (took >= SLOW_READ_MS) this.#slowFailure = { error, until: Date.now() + took * PAUSE_FACTOR };
      throw error;
    }
  }
}
