/** The present definition of a project, for reports. */
import type { StackDefinition } from "../definition/types.js";

/** Milliseconds of a failed read after which reports pause reading. Usual definitions take a few milliseconds. */
const SLOW_READ_MS = 1000;
/** Time without another read, as a multiple of the time that the failed read took. */
const PAUSE_FACTOR = 10;

/**
 * A definition that failed slowly is not read again for a multiple of that time: a hostile file would otherwise delay each
 * report of each client until the reader's deadline.
 */
export class ReportedDefinition {
  #slowFailure: { error: unknown; until: number } | null = null;

  /** @param load reads the definition now, without generating secrets */
  constructor(private readonly load: () => Promise<StackDefinition>) {}

  /** @throws what reading throws, or threw when it was slow */
  async read(): Promise<StackDefinition> {
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
