/**
 * Follows the output of one container in the engine's log. It resumes after a broken connection without losing or
 * repeating lines: the engine repeats its log from a given time in the same order, and messages that were already read
 * are skipped.
 */
import type { Readable } from "node:stream";
import type Docker from "dockerode";
import type { LogSink, LogStream } from "../../../stack/logs/types.js";
import { framesOf } from "./frames.js";

export interface LogFollowerOptions {
  docker: Docker;
  container: string;
  /** With a terminal there is a single stream without frame headers. */
  tty: boolean;
  sink: LogSink;
}

/** How long the times of delivered messages are kept, in milliseconds: the times in a log can decrease. */
const OVERLAP_MS = 1000;
const MOST_KEPT = 200_000;

/** Converts the engine's time (nanoseconds; Podman 4: seconds) to epoch milliseconds. */
const toMs = (time: string): number => Date.parse(time);

/** Time for the engine's `since` parameter: seconds with nanoseconds. */
export const sinceOf = (time: string): string =>
  `${Math.floor(toMs(time) / 1000)}.${/\.(\d{1,9})Z/.exec(time)?.[1]?.padEnd(9, "0") ?? "000000000"}`;

export class LogFollower {
  /** Times of the most recently delivered messages, in the log's order. */
  #times: string[] = [];
  #from = 0;
  #stream: Readable | null = null;
  #stopped = false;

  constructor(private readonly options: LogFollowerOptions) {}

  /**
   * Delivers messages until the engine ends the stream at the container's exit.
   * @throws the connection's error
   */
  async read(): Promise<void> {
    if (this.#stopped) return;
    const { docker, container, tty } = this.options;
    const last = this.#times.at(-1);
    const skip = last === undefined ? [] : this.#times.filter((time) => toMs(time) >= toMs(last) - OVERLAP_MS);
    const [first] = skip;
    const stream = (await docker.getContainer(container).logs({
      follow: true,
      stdout: true,
      stderr: true,
      timestamps: true,
      ...(first === undefined ? {} : { since: sinceOf(first) as never }),
    })) as unknown as Readable;
    if (this.#stopped) {
      stream.destroy();
      return;
    }
    this.#stream = stream;
    const skipping = new Skipper(skip);
    if (tty) await this.#readLines(stream, skipping);
    else await this.#readFrames(stream, skipping);
  }

  /** Ends a `read` in progress; no further message is delivered. */
  stop(): void {
    this.#stopped = true;
    this.#stream?.destroy();
  }

  async #readFrames(stream: Readable, skipping: Skipper): Promise<void> {
    for await (const frames of framesOf(stream)) {
      for (const [kind, bytes] of frames) this.#message(kind, bytes, skipping);
      await this.options.sink.behind?.();
      if (this.#stopped) return;
    }
  }

  async #readLines(stream: Readable, skipping: Skipper): Promise<void> {
    let rest: Buffer = Buffer.alloc(0);
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
      for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10)) {
        this.#message("stdout", rest.subarray(0, end + 1), skipping);
        rest = rest.subarray(end + 1);
      }
      await this.options.sink.behind?.();
      if (this.#stopped) return;
    }
    if (rest.length > 0) this.#message("stdout", rest, skipping);
  }

  /** Each message of the engine's log begins with its time and a space. */
  #message(stream: LogStream, bytes: Buffer, skipping: Skipper): void {
    const space = bytes.indexOf(32);
    const time = bytes.subarray(0, Math.max(space, 0)).toString("latin1");
    if (skipping.skips(time)) return;
    this.#times.push(time);
    const ms = toMs(time);
    if (this.#times.length > MOST_KEPT || ms - this.#from > 2 * OVERLAP_MS) {
      this.#times = this.#times.filter((one) => toMs(one) >= ms - OVERLAP_MS);
      if (this.#times.length > MOST_KEPT) this.#times = this.#times.slice(-MOST_KEPT);
      this.#from = ms - OVERLAP_MS;
    }
    this.options.sink.write(stream, bytes.subarray(space + 1), ms);
  }
}

/** Skips messages that were already delivered: the repeated log contains the same messages in the same order. */
class Skipper {
  #at = 0;

  constructor(private readonly times: readonly string[]) {}

  skips(time: string): boolean {
    if (this.#at >= this.times.length) return false;
    // The engine may have dropped its oldest messages meanwhile.
    const index = this.times.indexOf(time, this.#at);
    if (index < 0) return false;
    this.#at = index + 1;
    return true;
  }
}
