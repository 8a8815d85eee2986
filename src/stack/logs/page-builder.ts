/** Builds a page of matching lines within a budget, with repeats collapsed. */
import type { MergedLine } from "./merge.js";
import { isoTime, type StoredLine, toLogLine } from "./stored-line.js";
import type { LogLine } from "./types.js";

/** Bytes of a line in an answer in addition to its text (field names, seq, time, service). */
const OVERHEAD = 110;

/** Bytes of a line in an answer. */
export const costOf = ({ line }: MergedLine): number => Buffer.byteLength(line.text) + OVERHEAD;

interface Run {
  service: string;
  oldest: StoredLine;
  newest: StoredLine;
  count: number;
}

export class PageBuilder {
  readonly #runs: Run[] = [];
  #used = 0;
  #lines = 0;
  #full = false;

  /** @param direction 1 when lines come oldest first, -1 when newest first. */
  constructor(
    private readonly direction: 1 | -1,
    private readonly collapse: boolean,
    private readonly maxBytes: number,
  ) {}

  /** Original lines on the page. */
  get lineCount(): number {
    return this.#lines;
  }

  /**
   * Adds a line. Returns false when the budget is exhausted; no further line is added then. The first line is always
   * added.
   */
  add(entry: MergedLine): boolean {
    const { service, line } = entry;
    if (this.#full) return false;
    const run = this.#runs.at(-1);
    if (run !== undefined && this.collapse && this.#repeats(run, service, line)) {
      if (this.direction === 1) run.newest = line;
      else run.oldest = line;
      run.count += 1;
    } else {
      const cost = costOf(entry);
      this.#full = run !== undefined && this.#used + cost > this.maxBytes;
      if (this.#full) return false;
      this.#used += cost;
      this.#runs.push({ service, oldest: line, newest: line, count: 1 });
    }
    this.#lines += 1;
    return true;
  }

  /** Oldest first. */
  lines(): LogLine[] {
    const lines = this.#runs.map(({ service, oldest, newest, count }) => ({
      ...toLogLine(service, oldest),
      ...(count > 1 ? { repeated: { count, last_seq: newest.seq, last_time: isoTime(newest.timeMs) } } : {}),
    }));
    // Lines of records and their context arrive out of order.
    return lines.sort((one, other) => one.seq - other.seq);
  }

  #repeats(run: Run, service: string, { text, stream, generation, cutFrom }: StoredLine): boolean {
    const previous = run.oldest;
    return (
      previous.text === text &&
      run.service === service &&
      previous.stream === stream &&
      previous.generation === generation &&
      previous.cutFrom === cutFrom
    );
  }
}
