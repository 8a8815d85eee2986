/** Reads the spool's files block by block: backward from an end, or forward from a position. */
import { type FileHandle, open } from "node:fs/promises";
import { memoryRelease } from "../../system/release-memory.js";
import { containsCandidate, decodeBlock, decodeCandidates, type RawSearch } from "./raw-search.js";
import { decodeLine, type StoredLine } from "./stored-line.js";

const BLOCK = 64 * 1024;
/** Bytes of a block that is searched before it is decoded. More than the lines of the largest context. */
const SEARCHED_BLOCK = 1024 * 1024;
const LF = 10;

/** Summary of one file of the spool. */
export interface Segment {
  file: string;
  firstSeq: number;
  lastSeq: number;
  lines: number;
  /** Bytes up to the end of the last whole line. */
  bytes: number;
  firstTimeMs: number;
  lastTimeMs: number;
  minGeneration: number;
  maxGeneration: number;
}

export const emptySegment = (file: string): Segment => ({
  file,
  firstSeq: 0,
  lastSeq: 0,
  lines: 0,
  bytes: 0,
  firstTimeMs: 0,
  lastTimeMs: 0,
  minGeneration: 0,
  maxGeneration: 0,
});

/** Adds lines to the summary. The caller updates `bytes`. */
export function countLines(segment: Segment, lines: readonly StoredLine[]): void {
  for (const line of lines) {
    if (segment.lines === 0) {
      segment.firstSeq = line.seq;
      segment.firstTimeMs = line.timeMs;
      segment.minGeneration = line.generation;
    }
    segment.lines += 1;
    segment.lastSeq = line.seq;
    segment.lastTimeMs = Math.max(segment.lastTimeMs, line.timeMs);
    segment.firstTimeMs = Math.min(segment.firstTimeMs, line.timeMs);
    segment.minGeneration = Math.min(segment.minGeneration, line.generation);
    segment.maxGeneration = Math.max(segment.maxGeneration, line.generation);
  }
}

async function readAt(handle: FileHandle, from: number, to: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(to - from);
  let done = 0;
  while (done < buffer.length) {
    const { bytesRead } = await handle.read(buffer, done, buffer.length - done, from + done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  memoryRelease.passed(done);
  return buffer.subarray(0, done);
}

/** Opens a file; undefined when it does not exist, because rotation may delete a file before a reader opens it. */
async function openSegment(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, "r");
  } catch {
    return undefined;
  }
}

/** Yields blocks of whole lines, from byte `end` back to the beginning of the file. */
async function* blocksBackward(path: string, end: number, size: number): AsyncGenerator<Buffer> {
  const handle = await openSegment(path);
  if (handle === undefined) return;
  try {
    let to = end;
    let rest: Buffer = Buffer.alloc(0);
    while (to > 0) {
      const from = Math.max(0, to - size);
      const block = Buffer.concat([await readAt(handle, from, to), rest]);
      to = from;
      // The first line of a block is complete only at the beginning of the file.
      const whole = from === 0 ? 0 : block.indexOf(LF) + 1;
      if (from > 0 && whole === 0) {
        rest = block;
        continue;
      }
      rest = block.subarray(0, whole);
      if (whole < block.length) yield block.subarray(whole);
    }
  } finally {
    await handle.close();
  }
}

/** Yields blocks of whole lines up to byte `end`. The first block may begin with lines up to `after`. */
async function* blocksForward(path: string, end: number, after: number, size: number): AsyncGenerator<Buffer> {
  const handle = await openSegment(path);
  if (handle === undefined) return;
  try {
    let from = await seek(handle, end, after);
    let rest: Buffer = Buffer.alloc(0);
    while (from < end) {
      const to = Math.min(end, from + size);
      const block = Buffer.concat([rest, await readAt(handle, from, to)]);
      from = to;
      const whole = block.lastIndexOf(LF) + 1;
      rest = block.subarray(whole);
      if (whole > 0) yield block.subarray(0, whole);
    }
  } finally {
    await handle.close();
  }
}

/** Yields the lines of blocks: all of them, candidates, or those of blocks with candidates and of the blocks beside. */
async function* decoded(
  blocks: AsyncGenerator<Buffer>,
  search: RawSearch | undefined,
  end: "first" | "last",
): AsyncGenerator<StoredLine[]> {
  let previous: Buffer | undefined;
  let follows = false;
  for await (const block of blocks) {
    if (search === undefined) yield decodeBlock(block);
    else if (!search.neighbours) yield decodeCandidates(block, search, end);
    else if (containsCandidate(block, search)) {
      if (previous !== undefined) yield decodeBlock(previous);
      yield decodeBlock(block);
      previous = undefined;
      follows = true;
    } else {
      if (follows) yield decodeBlock(block);
      previous = follows ? undefined : block;
      follows = false;
    }
  }
}

const blockSize = (search: RawSearch | undefined): number => (search === undefined ? BLOCK : SEARCHED_BLOCK);

/**
 * Yields batches of lines, newest first, from byte `end` back to the beginning of the file.
 * @param search skips most lines that do not match
 */
export async function* readBackward(path: string, end: number, search?: RawSearch): AsyncGenerator<StoredLine[]> {
  const blocks = blocksBackward(path, end, blockSize(search));
  for await (const lines of decoded(blocks, search, "first")) if (lines.length > 0) yield lines.reverse();
}

/** Byte offset of a line start, at or before the first line with a seq greater than `after`. */
async function seek(handle: FileHandle, end: number, after: number): Promise<number> {
  let low = 0;
  let high = end;
  while (high - low > 2 * BLOCK) {
    const middle = (low + high) >>> 1;
    const block = await readAt(handle, middle, Math.min(end, middle + BLOCK));
    const start = block.indexOf(LF) + 1;
    const stop = block.indexOf(LF, start);
    const line = start > 0 && stop > start ? decodeLine(block.toString("utf8", start, stop)) : undefined;
    if (line !== undefined && line.seq <= after) low = middle + start;
    else high = middle;
  }
  return low;
}

/**
 * Yields batches of lines with a seq greater than `after`, oldest first, up to byte `end`.
 * @param search skips most lines that do not match
 */
export async function* readForward(
  path: string,
  end: number,
  after: number,
  search?: RawSearch,
): AsyncGenerator<StoredLine[]> {
  const blocks = blocksForward(path, end, after, blockSize(search));
  for await (const block of decoded(blocks, search, "last")) {
    const lines = block.filter((line) => line.seq > after);
    if (lines.length > 0) yield lines;
  }
}

/** Summarises a file that no index describes. `bytes` is the end of the last complete line. */
export async function scanSegment(path: string, file: string): Promise<Segment> {
  const segment = emptySegment(file);
  const handle = await open(path, "r");
  try {
    const { size } = await handle.stat();
    let from = 0;
    let rest: Buffer = Buffer.alloc(0);
    while (from < size) {
      const to = Math.min(size, from + 4 * BLOCK);
      const block = Buffer.concat([rest, await readAt(handle, from, to)]);
      from = to;
      const whole = block.lastIndexOf(LF) + 1;
      rest = block.subarray(whole);
      segment.bytes += whole;
      countLines(segment, decodeBlock(block.subarray(0, whole)));
    }
  } finally {
    await handle.close();
  }
  return segment;
}
