/** A line as the store keeps it: in the ring as an object, on disk as one JSON array. */
import { cutAtBytes } from "../text/sanitize-text.js";
import type { LogLine, LogStream } from "./types.js";

/** Longest text kept of one line, in UTF-8 bytes. */
export const MAX_LINE_BYTES = 8 * 1024;

export interface StoredLine {
  readonly seq: number;
  readonly timeMs: number;
  readonly stream: LogStream;
  readonly generation: number;
  readonly text: string;
  /** Bytes of the line before it was cut; 0 when it was not. */
  readonly cutFrom: number;
}

/** Estimate of what a line costs in memory, in bytes. */
export const memoryCost = (line: StoredLine): number => line.text.length * 2 + 96;

/** One line of NDJSON. An array, because keys would be half of what short lines cost on disk. */
export function encodeLine(line: StoredLine): string {
  const cut = line.cutFrom > 0 ? `,${line.cutFrom}` : "";
  const stream = line.stream === "stderr" ? 1 : 0;
  return `[${line.seq},${line.timeMs},${stream},${line.generation},${JSON.stringify(line.text)}${cut}]\n`;
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

/** Undefined for anything that `encodeLine` did not write (torn or damaged). */
export function decodeLine(json: string): StoredLine | undefined {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    return undefined;
  }
  if (!Array.isArray(value)) return undefined;
  const [seq, timeMs, stream, generation, text, cutFrom = 0] = value as unknown[];
  if (!isCount(seq) || !isCount(timeMs) || !isCount(generation) || !isCount(cutFrom)) return undefined;
  if (typeof text !== "string") return undefined;
  return { seq, timeMs, stream: stream === 1 ? "stderr" : "stdout", generation, text, cutFrom };
}

/** Times repeat: thousands of lines share a millisecond. */
let lastMs = Number.NaN;
let lastIso = "";
export function isoTime(timeMs: number): string {
  if (timeMs !== lastMs) {
    lastIso = new Date(timeMs).toISOString();
    lastMs = timeMs;
  }
  return lastIso;
}

export function toLogLine(service: string, line: StoredLine): LogLine {
  return {
    seq: line.seq,
    time: isoTime(line.timeMs),
    service,
    stream: line.stream,
    generation: line.generation,
    text: line.text,
    ...(line.cutFrom > 0 ? { cut_from_bytes: line.cutFrom } : {}),
  };
}

/** The text cut to the line bound, on a code point's border. A copy: a slice would keep the whole text in memory. */
export function cutLine(text: string): string {
  const cut = cutAtBytes(text, MAX_LINE_BYTES);
  return cut.length === text.length ? text : Buffer.from(cut).toString();
}
