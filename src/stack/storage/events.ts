/** A project's event log: recent events in memory, a file that survives the server, and waiting readers. */

import { appendFile, readFile, rename, stat } from "node:fs/promises";
import { StackwardenError } from "../../errors.js";
import { waitUntil } from "../../system/wait.js";
import type { EventPage, EventQuery, EventType, StackEvent } from "../model.js";

/** The actor of events that no client requested. */
export const SERVER_ACTOR = "stackwarden";
const KEPT = 2_000;
/** Size in bytes at which a new file is started. One older file is kept. */
const LARGEST_FILE = 4 * 1_048_576;

export interface EventInput {
  type: EventType;
  service?: string;
  message: string;
  /** Default: the server itself. */
  actor?: string;
  data?: Record<string, unknown>;
}

export interface EventLogOptions {
  project: string;
  /** Absolute path of the file; undefined to keep events in memory only. */
  file?: string;
  /** Applied to every message. */
  clean(text: string): string;
  onEvent(event: StackEvent): void;
  onError(error: unknown): void;
}

export class EventLog {
  #events: StackEvent[] = [];
  #next = 1;
  #pending = "";
  #bytes = 0;
  #writing: Promise<void> = Promise.resolve();
  readonly #waiting = new Set<() => void>();

  constructor(private readonly options: EventLogOptions) {}

  /** Loads events of earlier servers. Skips an incomplete last line. */
  async load(): Promise<void> {
    const { file } = this.options;
    if (file === undefined) return;
    const text = await readFile(file, "utf8").catch(() => "");
    this.#bytes = Buffer.byteLength(text);
    for (const line of text.split("\n").slice(-KEPT - 1)) {
      try {
        const event = JSON.parse(line) as StackEvent;
        if (Number.isSafeInteger(event.seq) && event.seq >= this.#next) {
          this.#events.push(event);
          this.#next = event.seq + 1;
        }
      } catch {
        // The line is empty, or incomplete after a crash.
      }
    }
    // Without this newline, the next event would be appended to the incomplete line.
    if (text !== "" && !text.endsWith("\n")) this.#pending = "\n";
  }

  add(input: EventInput): StackEvent {
    const event: StackEvent = {
      seq: this.#next,
      time: new Date().toISOString(),
      project: this.options.project,
      type: input.type,
      service: input.service ?? null,
      message: this.options.clean(input.message),
      actor: input.actor ?? SERVER_ACTOR,
      ...(input.data === undefined ? {} : { data: input.data }),
    };
    this.#next += 1;
    this.#events.push(event);
    if (this.#events.length > KEPT) this.#events = this.#events.slice(-KEPT);
    this.#write(`${JSON.stringify(event)}\n`);
    for (const wake of [...this.#waiting]) wake();
    this.options.onEvent(event);
    return event;
  }

  async query(query: EventQuery): Promise<EventPage> {
    const limit = query.limit ?? 100;
    if (!Number.isInteger(limit) || limit < 1 || limit > 1000)
      throw new StackwardenError("INVALID_INPUT", `limit must be a whole number from 1 to 1,000, not ${limit}.`, {
        hint: "Leave it out for 100.",
      });
    const from = this.#next - 1;
    let matches = this.#matching(query, query.after);
    const past = query.after === undefined && matches.length > 0 && (query.waitMs ?? 0) > 0;
    if (matches.length === 0 && (query.waitMs ?? 0) > 0) {
      await this.#nextMatch(query, query.after ?? from);
      matches = this.#matching(query, query.after ?? from);
    }
    // With a cursor, return the oldest events, so that none is skipped. Without one, return the newest.
    const events = query.after === undefined ? matches.slice(-limit) : matches.slice(0, limit);
    const cut = query.after !== undefined && matches.length > limit;
    const next = cut ? (events.at(-1)?.seq ?? 0) : this.#next - 1;
    return {
      project: this.options.project,
      events,
      next_cursor: next,
      omitted: matches.length - events.length,
      ...(past
        ? {
            note: `These are past events, so the call did not wait. To wait for a new one, call again with after ${next}.`,
          }
        : {}),
    };
  }

  /** True when another process has written to the file or removed it. */
  async outdated(): Promise<boolean> {
    const { file } = this.options;
    if (file === undefined) return false;
    await this.#writing;
    const size = await sizeOf(file);
    return this.#idle && size !== this.#bytes;
  }

  /** Waits until pending events are written. */
  flush(): Promise<void> {
    return this.#writing;
  }

  /** True when no event is pending. The newline after an incomplete line is written with the next event. */
  get #idle(): boolean {
    return this.#pending === "" || this.#pending === "\n";
  }

  #matching(query: EventQuery, after = 0): StackEvent[] {
    return this.#events.filter(
      (event) =>
        event.seq > after &&
        (query.service === undefined || event.service === query.service) &&
        (query.types === undefined || query.types.length === 0 || query.types.includes(event.type)),
    );
  }

  #nextMatch(query: EventQuery, after: number): Promise<unknown> {
    return waitUntil({
      check: () => this.#matching(query, after).length > 0,
      subscribe: (notify) => {
        this.#waiting.add(notify);
        return () => this.#waiting.delete(notify);
      },
      timeoutMs: query.waitMs,
      signal: query.signal,
    });
  }

  #write(line: string): void {
    const { file } = this.options;
    if (file === undefined) return;
    const idle = this.#idle;
    this.#pending += line;
    if (!idle) return;
    this.#writing = this.#writing.then(async () => {
      const batch = this.#pending;
      this.#pending = "";
      try {
        if (this.#bytes > LARGEST_FILE) {
          await rename(file, `${file}.1`);
          this.#bytes = 0;
        }
        await appendFile(file, batch, { mode: 0o600 });
        this.#bytes += Buffer.byteLength(batch);
      } catch (error) {
        // Part of the data may have been written.
        this.#bytes = await sizeOf(file);
        this.options.onError(error);
      }
    });
  }
}

const sizeOf = (file: string): Promise<number> =>
  stat(file).then(
    ({ size }) => size,
    () => 0,
  );
