/** What a caller's command prints: sanitised and redacted line by line, into its answer and into its service's log. */
import { LineAssembler } from "../logs/line-assembler.js";
import type { LogSink, LogStream } from "../logs/types.js";
import { type Excerpt, HeadTail } from "../text/head-tail.js";
import { sanitizeText } from "../text/sanitize-text.js";

/** Of a line that is longer than what is held of it, the last bytes may be a part of a secret. */
const UNSURE_END = 4096;
const LF = 10;

export interface CommandOutputOptions {
  /** Most UTF-8 bytes of both streams together in the answer. */
  maxBytes: number;
  redact(text: string): string;
  /** The service's log. */
  log: LogSink;
  /** Before every line in the log. */
  mark: string;
  /** Receives every line as it comes. */
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
      this.last = text === "" ? this.last : text;
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

  /** @returns a promise while the log's disk is behind */
  write(stream: LogStream, chunk: Buffer): Promise<void> | undefined {
    if (chunk.length === 0) return undefined;
    const to = this.#streams[stream];
    to.endsLine = chunk[chunk.length - 1] === LF;
    to.assembler.push(chunk);
    return this.options.log.behind?.() ?? undefined;
  }

  /** A line of stackwarden's own, only for the log. */
  note(text: string): void {
    this.options.log.line("stdout", `${this.options.mark} ${this.#clean(text)}`);
  }

  /** The command has ended. A stream that needs less than half of the budget leaves the rest to the other. */
  end(): Record<LogStream, Excerpt> {
    for (const { assembler } of Object.values(this.#streams)) assembler.end();
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
