/** Input of the store: converts the bytes of one instance to sanitised and redacted lines. */
import { sanitizeText } from "../text/sanitize-text.js";
import { type AssembledLine, LineAssembler } from "./line-assembler.js";
import { cutLine, MAX_LINE_BYTES } from "./stored-line.js";
import type { LineStream, LogSink } from "./types.js";

/** Bytes withheld at the end of a truncated line: they may contain part of a secret. */
const UNSURE_END = 4096;
/** Latest time of a JavaScript date, in epoch milliseconds. */
const LATEST = 8.64e15;
const WITHHELD = "[line withheld: it could not be redacted]";

export interface SinkTarget {
  redact(text: string): string;
  /** `cutFrom` is the line's length in bytes when `text` is not all of it, else 0. */
  append(stream: LineStream, text: string, cutFrom: number, timeMs: number): void;
  behind(): Promise<void> | null;
}

export function createSink(target: SinkTarget): LogSink {
  let timeMs = 0;

  const clean = (text: string): string => {
    try {
      return target.redact(sanitizeText(text));
    } catch {
      return WITHHELD;
    }
  };
  const long = (stream: LineStream, line: AssembledLine): void => {
    const whole = clean(line.text);
    const sure = line.truncated ? sanitizeText(whole.slice(0, Math.max(0, whole.length - UNSURE_END))) : whole;
    const text = cutLine(sure);
    target.append(stream, text, text.length < whole.length || line.truncated ? line.bytes : 0, timeMs);
  };
  const short = (stream: LineStream, text: string): void => {
    const whole = clean(text);
    // A redaction mark can be longer than the secret that it replaces.
    const visible = cutLine(whole);
    target.append(stream, visible, visible === whole ? 0 : Buffer.byteLength(text), timeMs);
  };
  const assembler = (stream: LineStream): LineAssembler =>
    new LineAssembler(
      (text) => short(stream, text),
      (line) => long(stream, line),
    );
  const assemblers = { stdout: assembler("stdout"), stderr: assembler("stderr"), install: assembler("install") };

  return {
    write(stream, chunk, at = Date.now()) {
      timeMs = at >= 0 && at <= LATEST ? Math.trunc(at) : Date.now();
      assemblers[stream].push(chunk);
    },
    line(stream, text) {
      timeMs = Date.now();
      const bytes = Buffer.byteLength(text);
      if (bytes <= MAX_LINE_BYTES) short(stream, text);
      else long(stream, { text, bytes, truncated: false });
    },
    behind: () => target.behind(),
    end() {
      assemblers.stdout.end();
      assemblers.stderr.end();
      assemblers.install.end();
    },
  };
}

/** A view of the sink that marks everything as output of an installation. */
export const installSink = (sink: LogSink): LogSink => ({
  write: (_stream, chunk, timeMs) => sink.write("install", chunk, timeMs),
  line: (_stream, text) => sink.line("install", text),
  behind: () => sink.behind?.() ?? null,
  end: () => undefined,
});
