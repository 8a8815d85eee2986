/** A snapshot of one service's lines: lines in memory, and older lines in the spool. */
import type { RawSearch } from "./raw-search.js";
import { indexAfter, type LineList } from "./ring.js";
import type { Spool, WantedSegment } from "./spool.js";
import type { StoredLine } from "./stored-line.js";

const BATCH = 2048;
/** First batch size. Most queries read only the last hundred lines. */
const FIRST_BATCH = 128;

export interface LogView {
  /** Oldest first, without a gap up to the newest line. */
  readonly memory: LineList;
  /** Lines up to this seq are only on disk. */
  readonly spooledThrough: number;
  readonly spool: Spool;
}

/** Number of lines of the view with a seq greater than `seq`. Exact for 0; otherwise an estimate within one file. */
export function linesAfter(view: LogView, seq: number): number {
  let lines = view.memory.length - indexAfter(view.memory, seq);
  for (const segment of view.spool.segments) {
    if (segment.lastSeq <= seq) continue;
    const inMemory = indexAfter(view.memory, segment.lastSeq) - indexAfter(view.memory, segment.firstSeq - 1);
    const onDisk = Math.max(0, segment.lines - inMemory);
    const through = Math.min(segment.lastSeq, view.spooledThrough);
    const span = through - segment.firstSeq + 1;
    const matchingSeqs = through - Math.max(seq, segment.firstSeq - 1);
    if (matchingSeqs > 0) lines += Math.ceil((onDisk * matchingSeqs) / span);
  }
  return lines;
}

/**
 * Yields batches of lines, newest first. Skips most lines of files for which `accepts` returns false, and most stored
 * lines that `search` does not match.
 */
export async function* newestFirst(
  view: LogView,
  accepts: WantedSegment,
  search?: RawSearch,
): AsyncGenerator<StoredLine[]> {
  let size = FIRST_BATCH;
  for (let end = view.memory.length; end > 0; end -= size, size = BATCH) {
    yield view.memory.slice(Math.max(0, end - size), end).reverse();
  }
  const through = view.spooledThrough;
  const onDisk: WantedSegment = (segment) => segment.firstSeq <= through && accepts(segment);
  for await (const batch of view.spool.backward(onDisk, search)) {
    const lines = batch.filter((line) => line.seq <= through);
    if (lines.length > 0) yield lines;
  }
}

/**
 * Yields batches of lines with a seq greater than `after`, oldest first. Skips lines as
 * `newestFirst`.
 */
export async function* oldestFirst(
  view: LogView,
  after: number,
  accepts: WantedSegment,
  search?: RawSearch,
): AsyncGenerator<StoredLine[]> {
  const through = view.spooledThrough;
  const onDisk: WantedSegment = (segment) => segment.firstSeq <= through && accepts(segment);
  if (after < through) {
    for await (const batch of view.spool.forward(after, onDisk, search)) {
      const lines = batch.filter((line) => line.seq <= through);
      if (lines.length > 0) yield lines;
    }
  }
  for (let from = indexAfter(view.memory, after); from < view.memory.length; from += BATCH) {
    yield view.memory.slice(from, from + BATCH);
  }
}
