/** One service's lines on disk, in NDJSON files. The oldest file is deleted when the bound is reached. */
import { type FileHandle, mkdir, open, readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { memoryRelease } from "../../system/release-memory.js";
import type { RawSearch } from "./raw-search.js";
import { countLines, emptySegment, readBackward, readForward, type Segment, scanSegment } from "./segment.js";
import { encodeLine, type StoredLine } from "./stored-line.js";

const NAME = /^\d{16}\.ndjson$/;
/** Number of files, so that reaching the bound deletes an eighth of the lines. */
const SEGMENTS = 8;
const LEAST_BYTES = 64 * 1024;

/** True when the segment may contain a matching line. Other segments are not read. */
export type WantedSegment = (segment: Segment) => boolean;

export class Spool {
  readonly #maxBytes: number;
  readonly #segments: Segment[];
  #handle: FileHandle | undefined;
  #bytes: number;
  #lines: number;

  /** @param onRemoved called with each segment that was rotated away or deleted by another process */
  constructor(
    private readonly directory: string,
    maxBytes: number,
    segments: readonly Segment[],
    private readonly onRemoved: (segment: Segment) => void,
  ) {
    this.#maxBytes = Math.max(LEAST_BYTES, maxBytes);
    this.#segments = [...segments];
    this.#bytes = segments.reduce((sum, segment) => sum + segment.bytes, 0);
    this.#lines = segments.reduce((sum, segment) => sum + segment.lines, 0);
  }

  get segments(): readonly Segment[] {
    return this.#segments;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get lines(): number {
    return this.#lines;
  }

  /** Maximum characters that one `append` should receive. */
  get batchSize(): number {
    return Math.min(512 * 1024, this.#maxBytes / SEGMENTS / 2);
  }

  /**
   * Appends all lines or none, from the view of readers. Calls must not overlap.
   * @throws the file system's error
   */
  async append(lines: readonly StoredLine[]): Promise<void> {
    const data = Buffer.from(lines.map(encodeLine).join(""));
    const segment = await this.#segmentFor(data.length, (lines[0] as StoredLine).seq);
    await this.#makeRoom(data.length, segment);
    try {
      this.#handle ??= await this.#openFor(segment);
      let done = 0;
      while (done < data.length) {
        done += (await this.#handle.write(data, done, data.length - done, segment.bytes + done)).bytesWritten;
      }
    } catch (error) {
      // Remove partially written lines: after a restart, they would be read in addition to the lines of the next
      // attempt.
      await this.#handle?.truncate(segment.bytes).catch(() => undefined);
      await this.close();
      if ((error as NodeJS.ErrnoException).code === "ENOENT") this.#forget(segment);
      throw error;
    }
    if (segment.lines === 0) this.#segments.push(segment);
    segment.bytes += data.length;
    countLines(segment, lines);
    this.#bytes += data.length;
    this.#lines += lines.length;
    memoryRelease.passed(data.length);
  }

  /** Yields batches of lines, newest first; with `search`, without most lines that do not match. */
  async *backward(accepts: WantedSegment, search?: RawSearch): AsyncGenerator<StoredLine[]> {
    for (const segment of [...this.#segments].reverse()) {
      if (accepts(segment)) yield* readBackward(this.#path(segment), segment.bytes, search);
    }
  }

  /** Yields batches of lines with a seq greater than `after`, oldest first; with `search`, as `backward`. */
  async *forward(after: number, accepts: WantedSegment, search?: RawSearch): AsyncGenerator<StoredLine[]> {
    for (const segment of [...this.#segments]) {
      if (segment.lastSeq > after && accepts(segment))
        yield* readForward(this.#path(segment), segment.bytes, after, search);
    }
  }

  async close(): Promise<void> {
    const handle = this.#handle;
    this.#handle = undefined;
    await handle?.close().catch(() => undefined);
  }

  #path(segment: Segment): string {
    return join(this.directory, segment.file);
  }

  async #segmentFor(bytes: number, firstSeq: number): Promise<Segment> {
    const last = this.#segments.at(-1);
    if (last !== undefined && last.bytes + bytes <= this.#maxBytes / SEGMENTS) return last;
    await this.close();
    return emptySegment(`${String(firstSeq).padStart(16, "0")}.ndjson`);
  }

  async #makeRoom(bytes: number, keep: Segment): Promise<void> {
    while (this.#bytes + bytes > this.#maxBytes) {
      const oldest = this.#segments[0];
      if (oldest === undefined || oldest === keep) return;
      await rm(this.#path(oldest), { force: true });
      this.#forget(oldest);
    }
  }

  #forget(segment: Segment): void {
    const at = this.#segments.indexOf(segment);
    if (at < 0) return;
    this.#segments.splice(at, 1);
    this.#bytes -= segment.bytes;
    this.#lines -= segment.lines;
    this.onRemoved(segment);
  }

  /** Opens the file and truncates it after the last complete line, to remove the rest of an interrupted write. */
  async #openFor(segment: Segment): Promise<FileHandle> {
    await mkdir(this.directory, { recursive: true, mode: 0o700 });
    const handle = await open(this.#path(segment), segment.lines > 0 ? "r+" : "w", 0o600);
    try {
      await handle.truncate(segment.bytes);
      return handle;
    } catch (error) {
      await handle.close();
      throw error;
    }
  }
}

/**
 * Lists the segments in a service's directory. Reads only files that `known` does not describe, or that have changed.
 */
export async function loadSegments(directory: string, loaded: readonly Segment[]): Promise<Segment[]> {
  const names = (await readdir(directory)).filter((name) => NAME.test(name)).sort();
  const segments: Segment[] = [];
  for (const file of names) {
    const path = join(directory, file);
    const { size } = await stat(path);
    const described = loaded.find((segment) => segment.file === file && segment.bytes === size);
    const segment = described ?? (await scanSegment(path, file));
    if (segment.lines > 0) segments.push({ ...segment });
    else await rm(path, { force: true });
  }
  return segments;
}
