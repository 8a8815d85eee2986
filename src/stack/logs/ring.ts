/** A queue of lines bounded by what they cost in memory: the newest stay, the oldest go. */
import { memoryCost, type StoredLine } from "./stored-line.js";

/** Removed slots are given back only when they are many: shifting each time would be quadratic. */
const COMPACT_AT = 4096;

export class LineRing {
  #lines: (StoredLine | undefined)[] = [];
  #head = 0;
  #bytes = 0;

  /** @param maxBytes Bound of the sum of the lines' cost; the newest line stays even when it is larger. */
  constructor(readonly maxBytes: number) {}

  get size(): number {
    return this.#lines.length - this.#head;
  }

  at(index: number): StoredLine | undefined {
    return this.#lines[this.#head + index];
  }

  /** Adds a line; `onEvict` is told every line that had to go for it. */
  push(line: StoredLine, onEvict?: (line: StoredLine) => void): void {
    this.#lines.push(line);
    this.#bytes += memoryCost(line);
    while (this.#bytes > this.maxBytes && this.size > 1) {
      const evicted = this.#shift();
      onEvict?.(evicted);
    }
  }

  #shift(): StoredLine {
    const line = this.#lines[this.#head] as StoredLine;
    // The slot may stay for long; what it held must not.
    this.#lines[this.#head] = undefined;
    this.#head += 1;
    this.#bytes -= memoryCost(line);
    if (this.#head >= COMPACT_AT && this.#head * 2 >= this.#lines.length) {
      this.#lines = this.#lines.slice(this.#head);
      this.#head = 0;
    }
    return line;
  }

  /** Index of the first line with a seq greater than `seq` (binary search); `size` when none. */
  indexAfter(seq: number): number {
    let low = 0;
    let high = this.size;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.at(middle) as StoredLine).seq <= seq) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Copy of the lines from index `from` up to, not including, `to`. */
  slice(from: number, to: number): StoredLine[] {
    return this.#lines.slice(this.#head + from, this.#head + Math.min(to, this.size)) as StoredLine[];
  }
}
