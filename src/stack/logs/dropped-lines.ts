/** Counts lost lines: rotated away on disk, or evicted from memory before they were written. */

export interface DroppedRange {
  firstSeq: number;
  lastSeq: number;
  lines: number;
  /** Time of the newest lost line, in epoch milliseconds. */
  timeMs: number;
}

/** Maximum number of separate ranges. Older ranges are merged into one. */
const MOST = 32;

export class DroppedLines {
  #list: DroppedRange[];
  #total: number;

  constructor(list: readonly DroppedRange[] = []) {
    this.#list = list.map((loss) => ({ ...loss }));
    this.#total = list.reduce((sum, loss) => sum + loss.lines, 0);
  }

  get total(): number {
    return this.#total;
  }

  add(loss: DroppedRange): void {
    this.#total += loss.lines;
    const at = this.#list.findLastIndex((other) => other.lastSeq < loss.firstSeq) + 1;
    this.#list.splice(at, 0, { ...loss });
    if (this.#list.length > MOST) this.#join(0);
  }

  /** Adds a lost line. Extends the newest range when no readable line lies between; otherwise adds a range. */
  addLine(seq: number, timeMs: number, previousSeq: number): void {
    const last = this.#list.at(-1);
    if (last === undefined || last.lastSeq < previousSeq) {
      this.add({ firstSeq: seq, lastSeq: seq, lines: 1, timeMs });
      return;
    }
    this.#total += 1;
    last.lastSeq = Math.max(last.lastSeq, seq);
    last.lines += 1;
    last.timeMs = Math.max(last.timeMs, timeMs);
  }

  /** Lines lost after `seq`, none older than `sinceMs`; an upper bound where `seq` lies inside a loss. */
  after(seq: number, sinceMs = 0): number {
    let lines = 0;
    for (const loss of this.#list) {
      if (loss.lastSeq > seq && loss.timeMs >= sinceMs) lines += Math.min(loss.lines, loss.lastSeq - seq);
    }
    return lines;
  }

  /** A copy of the ranges, for the index on disk. */
  get list(): DroppedRange[] {
    return this.#list.map((loss) => ({ ...loss }));
  }

  #join(at: number): void {
    const [older, newer] = this.#list.slice(at, at + 2) as [DroppedRange, DroppedRange];
    this.#list.splice(at, 2, {
      firstSeq: older.firstSeq,
      lastSeq: Math.max(older.lastSeq, newer.lastSeq),
      lines: older.lines + newer.lines,
      timeMs: Math.max(older.timeMs, newer.timeMs),
    });
  }
}
