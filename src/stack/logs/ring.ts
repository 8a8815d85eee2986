/**
 * A queue of lines with a memory bound: the oldest lines are evicted. Lines are stored in append-only chunks, so a
 * snapshot of the queue copies only the list of chunks, not the lines.
 */
import { memoryCost, type StoredLine } from "./stored-line.js";

const CHUNK_BITS = 9;
const CHUNK = 1 << CHUNK_BITS;

/** An immutable list of lines, oldest first. An array satisfies this interface. */
export interface LineList {
  readonly length: number;
  at(index: number): StoredLine | undefined;
  slice(from: number, to: number): StoredLine[];
}

/** Index of the first line with a seq greater than `seq` (binary search); `length` when none. */
export function indexAfter(lines: Pick<LineList, "length" | "at">, seq: number): number {
  let low = 0;
  let high = lines.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((lines.at(middle) as StoredLine).seq <= seq) low = middle + 1;
    else high = middle;
  }
  return low;
}

class ChunkedLines implements LineList {
  constructor(
    private readonly chunks: readonly StoredLine[][],
    private readonly head: number,
    readonly length: number,
  ) {}

  at(index: number): StoredLine | undefined {
    if (index < 0 || index >= this.length) return undefined;
    const place = this.head + index;
    return this.chunks[place >> CHUNK_BITS]?.[place & (CHUNK - 1)];
  }

  slice(from: number, to: number): StoredLine[] {
    const lines: StoredLine[] = [];
    const end = this.head + Math.min(to, this.length);
    for (let place = this.head + Math.max(0, from); place < end; ) {
      const start = place & (CHUNK - 1);
      const count = Math.min(CHUNK - start, end - place);
      lines.push(...(this.chunks[place >> CHUNK_BITS] as StoredLine[]).slice(start, start + count));
      place += count;
    }
    return lines;
  }
}

export class LineRing {
  #chunks: StoredLine[][] = [];
  /** Number of evicted lines of the first chunk. They stay in memory until the whole chunk is evicted. */
  #head = 0;
  #size = 0;
  #bytes = 0;

  /** @param maxBytes maximum total cost of the lines in bytes; the newest line stays even when it is larger */
  constructor(readonly maxBytes: number) {}

  get size(): number {
    return this.#size;
  }

  /** Cost of the lines in memory, in bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  at(index: number): StoredLine | undefined {
    const place = this.#head + index;
    return this.#chunks[place >> CHUNK_BITS]?.[place & (CHUNK - 1)];
  }

  /** Adds a line. `onEvict` is called with every line evicted for it. */
  push(line: StoredLine, onEvict?: (line: StoredLine) => void): void {
    const last = this.#chunks.at(-1);
    if (last === undefined || last.length === CHUNK) this.#chunks.push([line]);
    else last.push(line);
    this.#size += 1;
    this.#bytes += memoryCost(line);
    while (this.#bytes > this.maxBytes && this.#size > 1) {
      const evicted = this.at(0) as StoredLine;
      this.#bytes -= memoryCost(evicted);
      this.#size -= 1;
      this.#head += 1;
      if (this.#head === CHUNK) {
        this.#chunks.shift();
        this.#head = 0;
      }
      onEvict?.(evicted);
    }
  }

  indexAfter(seq: number): number {
    return indexAfter({ length: this.#size, at: (index) => this.at(index) }, seq);
  }

  /** A snapshot of the current lines; later changes do not affect it. */
  snapshot(): LineList {
    return new ChunkedLines(this.#chunks.slice(), this.#head, this.#size);
  }

  /** Copy of the lines from index `from` up to, not including, `to`. */
  slice(from: number, to: number): StoredLine[] {
    return this.snapshot().slice(from, to);
  }
}
