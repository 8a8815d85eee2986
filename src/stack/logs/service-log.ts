/** One service's lines: the newest in memory, and all of them on disk up to the spool's bound. */

import { isCommandLine } from "./command-lines.js";
import { DroppedLines, type DroppedRange } from "./dropped-lines.js";
import { type LogView, linesAfter } from "./log-view.js";
import { indexAfter, LineRing } from "./ring.js";
import type { Segment } from "./segment.js";
import { Spool } from "./spool.js";
import { memoryCost, type StoredLine } from "./stored-line.js";

/** Maximum milliseconds before a line is written to disk. Lines of quiet services are written in batches. */
const WRITE_AFTER_MS = 50;
/** Pending characters that are written without delay, before the memory bound evicts them. */
const WRITE_AT = 128 * 1024;
/** Milliseconds before a failed disk is tried again. */
const RETRY_MS = 10_000;

export interface ServiceLogOptions {
  directory: string;
  ringBytes: number;
  spoolBytes: number;
  segments: readonly Segment[];
  losses: readonly DroppedRange[];
  /** Called when the list of segments has changed. */
  onRotated(): void;
  onError(error: Error): void;
}

export class ServiceLog {
  /** Highest generation seen. */
  generation: number;
  lastSeq: number;
  readonly losses: DroppedLines;
  /** Lines received since the log was opened, and the bytes of their text. */
  readonly came = { lines: 0, bytes: 0 };
  readonly spool: Spool;
  readonly #ring: LineRing;
  /** The batch that is being written; empty when there is none. */
  #batch: StoredLine[] = [];
  #writtenThrough: number;
  #unwritten = 0;
  #lastEvicted: number;
  #removedThrough = 0;
  #writing: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** Time of the last failure on a monotonic clock, because the system clock may be set back. */
  #failedAt = Number.NEGATIVE_INFINITY;

  constructor(private readonly options: ServiceLogOptions) {
    this.losses = new DroppedLines(options.losses);
    this.generation = Math.max(0, ...options.segments.map(({ maxGeneration }) => maxGeneration));
    this.lastSeq = options.segments.at(-1)?.lastSeq ?? 0;
    this.#writtenThrough = this.lastSeq;
    this.#lastEvicted = this.lastSeq;
    this.#ring = new LineRing(options.ringBytes);
    this.spool = new Spool(options.directory, options.spoolBytes, options.segments, (segment) => {
      this.#onRemoved(segment);
    });
  }

  append(line: StoredLine): void {
    this.lastSeq = line.seq;
    this.came.lines += 1;
    this.came.bytes += Buffer.byteLength(line.text);
    this.#ring.push(line, this.#onEvict);
    this.#unwritten += line.text.length + 32;
    this.#schedule();
  }

  /** A promise that settles when pending lines have been written; null when the disk is not behind, or has failed. */
  behind(): Promise<void> | null {
    const ring = this.#ring;
    if (this.#writing === undefined || ring.bytes * 2 < ring.maxBytes) return null;
    const unwritten = ring.size - ring.indexAfter(this.#writtenThrough);
    return unwritten * 2 < ring.size ? null : this.#writing;
  }

  view(): LogView {
    const evicted = this.#lastEvicted;
    // Lines that were evicted from the ring during a write are neither in memory nor on disk yet.
    const between = this.#batch.slice(0, indexAfter(this.#batch, evicted));
    return {
      memory: between.length === 0 ? this.#ring.snapshot() : between.concat(this.#ring.slice(0, this.#ring.size)),
      spooledThrough: between.length > 0 ? this.#writtenThrough : evicted,
      spool: this.spool,
    };
  }

  /** Number of lines that can be read. */
  get lines(): number {
    return linesAfter(this.view(), 0);
  }

  /** Bytes on disk, plus bytes in memory that are not written yet. */
  get bytes(): number {
    const from = this.#ring.indexAfter(this.#writtenThrough);
    let bytes = this.spool.bytes;
    for (let index = from; index < this.#ring.size; index += 1) bytes += memoryCost(this.#ring.at(index) as StoredLine);
    return bytes;
  }

  /** The service's own newest `count` lines in memory, of one generation if given, oldest first. */
  newest(count: number, generation?: number): StoredLine[] {
    const lines: StoredLine[] = [];
    for (let index = this.#ring.size - 1; index >= 0 && lines.length < count; index -= 1) {
      const line = this.#ring.at(index) as StoredLine;
      const own = line.stream !== "install" && !isCommandLine(line.text);
      if (own && (generation === undefined || line.generation === generation)) lines.push(line);
    }
    return lines.reverse();
  }

  /** Writes all lines received before the call, unless the disk fails. */
  async flush(): Promise<void> {
    this.#failedAt = Number.NEGATIVE_INFINITY;
    this.#start();
    await this.#writing;
  }

  async close(): Promise<void> {
    await this.flush();
    clearTimeout(this.#timer);
    await this.spool.close();
  }

  #schedule(): void {
    if (this.#writing !== undefined) return;
    if (this.#unwritten >= WRITE_AT) this.#start();
    else this.#timer ??= setTimeout(() => this.#start(), WRITE_AFTER_MS).unref();
  }

  #start(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#unwritten = 0;
    if (this.#writing !== undefined || performance.now() - this.#failedAt < RETRY_MS) return;
    this.#writing = this.#write().finally(() => {
      this.#writing = undefined;
      if (this.#unwritten > 0) this.#schedule();
    });
  }

  async #write(): Promise<void> {
    for (let batch = this.#take(); batch.length > 0; batch = this.#take()) {
      this.#batch = batch;
      const segments = this.spool.segments.length;
      const error = await this.spool.append(batch).catch((reason: Error) => reason);
      this.#batch = [];
      if (this.spool.segments.length !== segments) this.options.onRotated();
      if (error !== undefined) {
        this.#failedAt = performance.now();
        for (const line of batch) if (line.seq <= this.#lastEvicted) this.#lose(line, line.seq - 1);
        this.options.onError(error);
        return;
      }
      this.#writtenThrough = (batch.at(-1) as StoredLine).seq;
    }
  }

  #take(): StoredLine[] {
    const from = this.#ring.indexAfter(this.#writtenThrough);
    let to = from;
    for (let size = 0; to < this.#ring.size && size < this.spool.batchSize; to += 1) {
      size += (this.#ring.at(to) as StoredLine).text.length + 32;
    }
    return this.#ring.slice(from, to);
  }

  readonly #onEvict = (line: StoredLine): void => {
    const previous = this.#lastEvicted;
    this.#lastEvicted = line.seq;
    const takenThrough = this.#batch.at(-1)?.seq ?? this.#writtenThrough;
    if (line.seq > takenThrough || line.seq <= this.#removedThrough) this.#lose(line, previous);
  };

  #lose(line: StoredLine, previousSeq: number): void {
    this.losses.addLine(line.seq, line.timeMs, previousSeq);
  }

  #onRemoved(segment: Segment): void {
    this.#removedThrough = Math.max(this.#removedThrough, segment.lastSeq);
    const inMemory = this.#ring.indexAfter(segment.lastSeq) - this.#ring.indexAfter(segment.firstSeq - 1);
    const { firstSeq, lastSeq, lastTimeMs: timeMs } = segment;
    if (segment.lines > inMemory) this.losses.add({ firstSeq, lastSeq, lines: segment.lines - inMemory, timeMs });
  }
}
