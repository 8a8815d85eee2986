/** The log store of one project: every line of every service, numbered in one order. */
import { chmod, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { StackwardenError } from "../../errors.js";
import { removeUnfinished } from "../../system/atomic-write.js";
import { AppendNotifier } from "./append-notifier.js";
import type { DroppedRange } from "./dropped-lines.js";
import type { QueriedService } from "./matching.js";
import { answerQuery } from "./query.js";
import type { Segment } from "./segment.js";
import { ServiceLog } from "./service-log.js";
import { createSink } from "./sink.js";
import { loadSegments } from "./spool.js";
import { directoryOf, readIndex, type StoreIndex, spooledServices, writeIndex } from "./store-index.js";
import type {
  LineStream,
  LogPage,
  LogQuery,
  LogSink,
  LogStore,
  LogStoreOptions,
  LogStoreStats,
  LogTotals,
} from "./types.js";

const MIB = 1024 * 1024;
/**
 * Seqs reserved in advance. After a crash, numbering continues after the reserved range, so that no seq is assigned
 * twice.
 */
const RESERVED = 1_000_000;

/**
 * Opens the store in the directory, or creates it. When the directory cannot be read or written, `onSpoolError`
 * receives the error and the store works in memory only: a full disk must not prevent a stack from starting.
 */
export async function openLogStore(options: LogStoreOptions): Promise<LogStore> {
  const store = new Store(options, await readIndex(options.directory));
  await store.load();
  return store;
}

class Store implements LogStore {
  readonly epoch: string;
  #lastSeq: number;
  #reserved: number;
  readonly #logs = new Map<string, ServiceLog>();
  readonly #appended = new AppendNotifier();
  #writing: Promise<void> = Promise.resolve();
  #indexDue = false;
  #spoolFailed = false;
  #closed = false;

  constructor(
    private readonly options: LogStoreOptions,
    private readonly index: StoreIndex,
  ) {
    this.epoch = index.epoch;
    this.#lastSeq = index.reservedSeq;
    this.#reserved = index.reservedSeq;
  }

  get lastSeq(): number {
    return this.#lastSeq;
  }

  get services(): Iterable<string> {
    return this.#logs.keys();
  }

  async load(): Promise<void> {
    const { directory } = this.options;
    const indexed = this.index.services;
    let spooled: string[] = [];
    try {
      await mkdir(directory, { recursive: true, mode: 0o700 });
      await chmod(directory, 0o700);
      await removeUnfinished(directory);
      spooled = await spooledServices(directory);
    } catch (error) {
      this.#onSpoolError(error);
    }
    for (const service of new Set([...spooled, ...Object.keys(indexed)])) {
      const { segments = [], losses = [], generation = 0 } = indexed[service] ?? {};
      const loaded = await loadSegments(join(directory, directoryOf(service)), segments).catch((error) => {
        if (spooled.includes(service)) this.#onSpoolError(error);
        return [];
      });
      const log = this.#open(service, loaded, losses);
      log.generation = Math.max(log.generation, generation);
      this.#lastSeq = Math.max(this.#lastSeq, log.lastSeq);
    }
    this.#reserve();
    await this.#writing;
  }

  sink(service: string, generation: number): LogSink {
    const log = this.#logs.get(service) ?? this.#open(service, [], []);
    if (generation > log.generation) {
      log.generation = generation;
      this.#saveIndex();
    }
    return createSink({
      redact: this.options.redact,
      append: (stream, text, cutFrom, timeMs) =>
        this.#append(service, log, { stream, generation, text, cutFrom, timeMs }),
      behind: () => log.behind(),
    });
  }

  query(query: LogQuery): Promise<LogPage> {
    return answerQuery(this, query);
  }

  view(service: string): QueriedService | undefined {
    const log = this.#logs.get(service);
    return log && { ...log.view(), service, generation: log.generation, losses: log.losses };
  }

  async grown(services: readonly string[], seq: number, deadline: number, signal?: AbortSignal): Promise<boolean> {
    const has = (): boolean => services.some((service) => (this.#logs.get(service)?.lastSeq ?? 0) > seq);
    return this.#appended.until(has, deadline, signal);
  }

  lastLines(service: string, count: number, generation?: number): string[] {
    return (this.#logs.get(service)?.newest(count, generation) ?? []).map(({ text }) => text);
  }

  lastGeneration(service: string): number {
    return this.#logs.get(service)?.generation ?? 0;
  }

  onAppend(listener: (service: string) => void): () => void {
    return this.#appended.listen(listener);
  }

  stats(service?: string): LogStoreStats {
    const logs = service === undefined ? [...this.#logs.values()] : [this.#logs.get(service)];
    const sum: LogStoreStats = { lines: 0, bytes: 0, dropped: 0, last_seq: service === undefined ? this.#lastSeq : 0 };
    for (const log of logs) {
      if (log === undefined) continue;
      sum.lines += log.lines;
      sum.bytes += log.bytes;
      sum.dropped += log.losses.total;
      sum.last_seq = Math.max(sum.last_seq, log.lastSeq);
    }
    return sum;
  }

  totals(): LogTotals[] {
    return [...this.#logs].map(([service, { came, losses }]) => ({ service, ...came, dropped: losses.total }));
  }

  async flush(): Promise<void> {
    await Promise.all([...this.#logs.values()].map((log) => log.flush()));
    await this.#writing;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#appended.close();
    await Promise.all([...this.#logs.values()].map((log) => log.close()));
    this.#reserved = this.#lastSeq;
    this.#saveIndex();
    await this.#writing;
  }

  #append(
    service: string,
    log: ServiceLog,
    line: { stream: LineStream; generation: number; text: string; cutFrom: number; timeMs: number },
  ): void {
    if (this.#closed) return;
    this.#lastSeq += 1;
    log.append({ seq: this.#lastSeq, ...line });
    this.#appended.tell(service);
    if (this.#reserved - this.#lastSeq < RESERVED / 2) this.#reserve();
  }

  #open(service: string, segments: readonly Segment[], losses: readonly DroppedRange[] = []): ServiceLog {
    const { directory, ringBytes = 8 * MIB, spoolBytes = 64 * MIB } = this.options;
    const log = new ServiceLog({
      directory: join(directory, directoryOf(service)),
      ringBytes,
      spoolBytes,
      segments,
      losses,
      onRotated: () => this.#saveIndex(),
      onError: (error) => this.#onSpoolError(error),
    });
    this.#logs.set(service, log);
    return log;
  }

  #reserve(): void {
    this.#reserved = this.#lastSeq + RESERVED;
    this.#saveIndex();
  }

  /** Writes the index. Changes during a write are combined into the next one. */
  #saveIndex(): void {
    if (this.#indexDue) return;
    this.#indexDue = true;
    this.#writing = this.#writing.then(async () => {
      this.#indexDue = false;
      await writeIndex(this.options.directory, this.#describe()).catch((error) => this.#onSpoolError(error));
    });
  }

  #describe(): StoreIndex {
    const services: StoreIndex["services"] = Object.create(null);
    for (const [name, { generation, losses, spool }] of this.#logs) {
      services[name] = { generation, losses: losses.list, segments: [...spool.segments] };
    }
    return { version: 1, epoch: this.epoch, reservedSeq: this.#reserved, services };
  }

  #onSpoolError(error: unknown): void {
    if (this.#spoolFailed) return;
    this.#spoolFailed = true;
    const cause = error instanceof StackwardenError && error.cause instanceof Error ? error.cause : error;
    this.options.onSpoolError?.(cause as Error);
  }
}
