/**
 * Output of a caller's command: sanitised and redacted line by line, then added to the answer and to the service's log.
 */
import { LineAssembler } from "../logs/line-assembler.js";
import type { LogSink, LogStream } from "../logs/types.js";
import { type Excerpt, HeadTail } from "../text/head-tail.js";
import { sanitizeText } from "../text/sanitize-text.js";

/** Bytes withheld at the end of a truncated line: they may contain part of a secret. */
const UNSURE_END = 4096;
const LF = 10;

export interface CommandOutputOptions {
  /** Maximum UTF-8 bytes of both streams together in the answer. */
  maxBytes: number;
  redact(text: string): string;
  /** The service's log. */
  log: LogSink;
  /** Prefix of every line in the log. */
  mark: string;
  /** Receives every line when it is complete. */
  onLine?(stream: LogStream, line: string): void;
}

export class CommandOutput {
  /** The newest line, for progress. */
  last = "";
  readonly #streams: Record<LogStream, { assembler: LineAssembler; kept: HeadTail; endsLine: boolean }>;

  constructor(private readonly options: CommandOutputOptions) {
    this.#streams = { stdout: this.#open("stdout"), stderr: this.#open("stderr") };
  }

  #open(stream: LogStream) {
    const kept = new HeadTail(this.options.maxBytes);
    const take = (text: string, more = ""): void => {
      this.last = text.trim() || this.last;
      kept.push(`${text}${more}\n`);
      this.options.log.line(stream, `${this.options.mark} ${text}${more}`);
      this.options.onLine?.(stream, `${text}${more}`);
    };
    const assembler = new LineAssembler(
      (text) => take(this.#clean(text)),
      ({ text, bytes, truncated }) => {
        const clean = this.#clean(text);
        if (!truncated) return take(clean);
        const sure = clean.slice(0, Math.max(0, clean.length - UNSURE_END));
        return take(sure, ` [… line of ${bytes} bytes cut …]`);
      },
    );
    return { assembler, kept, endsLine: true };
  }

  #clean(text: string): string {
    return this.options.redact(sanitizeText(text));
  }

  /** @returns a promise to wait for while the log's disk writes are behind */
  write(stream: LogStream, chunk: Buffer): Promise<void> | undefined {
    if (chunk.length === 0) return undefined;
    const to = this.#streams[stream];
    to.endsLine = chunk[chunk.length - 1] === LF;
    to.assembler.push(chunk);
    return this.options.log.behind?.() ?? undefined;
  }

  /** Writes a line of stackwarden itself to the log only. */
  note(text: string): void {
    this.options.log.line("stdout", `${this.options.mark} ${this.#clean(text)}`);
  }

  /**
   * Finishes both streams after the command has ended. Budget that one stream does not use is available to the other.
   * @param result how the command ended, for the log: after an output that does not end with a line break
   */
  end(result: string): Record<LogStream, Excerpt> {
    for (const { assembler } of Object.values(this.#streams)) assembler.end();
    this.note(result);
    const { stdout, stderr } = this.#streams;
    const { maxBytes } = this.options;
    const share = (other: HeadTail): number => Math.max(Math.floor(maxBytes / 2), maxBytes - other.total);
    const excerpt = (stream: typeof stdout, other: HeadTail): Excerpt => {
      const { text, omitted } = stream.kept.excerpt(share(other));
      return { text: stream.endsLine ? text : text.replace(/\n$/, ""), omitted };
    };
    this.options.log.end();
    return { stdout: excerpt(stdout, stderr.kept), stderr: excerpt(stderr, stdout.kept) };
  }
}
