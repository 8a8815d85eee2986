/** The output of one instance: its lines go to the sink, the messages of the entry script are removed, its exit is reported. */

import type { LogSink, LogStream } from "../../../stack/logs/types.js";
import { withinOrNull } from "../../../system/wait.js";
import { EntryLines } from "../entry/entry-lines.js";
import type { EntryMessage } from "../entry/types.js";
import type { ContainerExit, TraceListener } from "../telemetry/types.js";

/** Maximum delay between the notice of an exit and the last output, in milliseconds. */
const DRAIN_MS = 2000;

export type EntryStart = Extract<EntryMessage, { type: "start" }>;
export type EntryHealth = Extract<EntryMessage, { type: "health" }>;

export interface OutputOptions {
  sink: LogSink;
  /** Token of the entry script; null: the image has no shell, so the script does not run. */
  token: string | null;
  onHealth(health: EntryHealth): void;
}

export class InstanceOutput implements TraceListener {
  /** The container's exit, as reported by the engine. */
  readonly ended: Promise<ContainerExit>;
  /** State of the process as reported by the kernel; only with an entry script. */
  readonly started: Promise<EntryStart>;
  /** Settles when the entry script gave up because limits did not take effect. */
  readonly unlimited: Promise<{ waitedSeconds: number }>;
  readonly #drained: Promise<void>;
  readonly #entry: EntryLines | null;
  #tellEnd: (exit: ContainerExit) => void = () => {};
  #tellStart: (start: EntryStart) => void = () => {};
  #tellUnlimited: (unlimited: { waitedSeconds: number }) => void = () => {};
  #tellDrained: () => void = () => {};
  #closed = false;
  /** The engine's error message when no process was created. */
  failure: string | null = null;

  constructor(private readonly options: OutputOptions) {
    this.ended = new Promise((resolve) => {
      this.#tellEnd = resolve;
    });
    this.started = new Promise((resolve) => {
      this.#tellStart = resolve;
    });
    this.unlimited = new Promise((resolve) => {
      this.#tellUnlimited = resolve;
    });
    this.#drained = new Promise((resolve) => {
      this.#tellDrained = resolve;
    });
    const { token } = options;
    this.#entry = token === null ? null : new EntryLines(token, (message) => this.#take(message));
  }

  output(stream: LogStream, chunk: Uint8Array, timeMs: number): void {
    if (this.#closed) return;
    const bytes = stream === "stderr" && this.#entry !== null ? this.#entry.take(chunk) : chunk;
    if (bytes.length > 0) this.options.sink.write(stream, bytes, timeMs);
  }

  drained(): void {
    this.#tellDrained();
  }

  exited(exit: ContainerExit): void {
    this.failure = exit.failure ?? null;
    // The program of the service never ran, so the reason is written to the service's log, where users look first.
    if (exit.failure !== undefined && !this.#closed) {
      this.options.sink.write("stderr", Buffer.from(`The engine could not start it: ${exit.failure}\n`), exit.at);
      this.#tellDrained();
    }
    this.#tellEnd(exit);
  }

  behind(): Promise<void> | null {
    return this.options.sink.behind?.() ?? null;
  }

  /** Called after the exit: waits for the last output, then closes the sink. Idempotent. */
  async close(waitMs = DRAIN_MS): Promise<void> {
    if (this.#closed) return;
    await withinOrNull(this.#drained, waitMs);
    if (this.#closed) return;
    this.#closed = true;
    const rest = this.#entry?.end();
    if (rest !== undefined && rest.length > 0) this.options.sink.write("stderr", rest);
    this.options.sink.end();
  }

  #take(message: EntryMessage): void {
    if (message.type === "start") this.#tellStart(message);
    else if (message.type === "unlimited") this.#tellUnlimited(message);
    else this.options.onHealth(message);
  }
}
