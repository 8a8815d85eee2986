/** Merges several services' lines in the store's order. */
import type { StoredLine } from "./stored-line.js";

export interface MergedLine {
  service: string;
  line: StoredLine;
}

class Source {
  #batch: readonly StoredLine[] = [];
  #at = 0;
  done = false;

  constructor(
    readonly service: string,
    private readonly batches: AsyncGenerator<readonly StoredLine[]>,
  ) {}

  get head(): StoredLine | undefined {
    return this.#batch[this.#at];
  }

  get ready(): boolean {
    return this.done || this.#at < this.#batch.length;
  }

  advance(): void {
    this.#at += 1;
  }

  async fill(): Promise<void> {
    const next = await this.batches.next();
    this.done = next.done === true;
    this.#batch = this.done ? [] : next.value;
    this.#at = 0;
  }

  async close(): Promise<void> {
    await this.batches.return(undefined);
  }
}

/**
 * Yields lines ordered by seq; `direction` is 1 for oldest first, -1 for newest first. Waits for the disk only when a
 * source has no buffered lines. Closes its sources even when the consumer stops early.
 */
export async function* mergeLines(
  services: ReadonlyMap<string, AsyncGenerator<readonly StoredLine[]>>,
  direction: 1 | -1,
): AsyncGenerator<MergedLine[]> {
  const sources = [...services].map(([service, batches]) => new Source(service, batches));
  try {
    for (;;) {
      for (const source of sources) while (!source.ready) await source.fill();
      const lines = takeWhileReady(sources, direction);
      if (lines.length === 0) return;
      yield lines;
    }
  } finally {
    for (const source of sources) await source.close();
  }
}

/** Takes as many lines as can be ordered from the buffered lines. */
function takeWhileReady(sources: readonly Source[], direction: 1 | -1): MergedLine[] {
  const lines: MergedLine[] = [];
  for (;;) {
    let first: Source | undefined;
    for (const source of sources) {
      if (!source.ready) return lines;
      const { head } = source;
      const best = first?.head;
      if (head !== undefined && (best === undefined || (head.seq - best.seq) * direction < 0)) first = source;
    }
    if (first?.head === undefined) return lines;
    lines.push({ service: first.service, line: first.head });
    first.advance();
  }
}
