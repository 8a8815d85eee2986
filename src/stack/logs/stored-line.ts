/** Stored form of a line: an object in the ring, and a JSON array on disk. */
import { cutAtBytes } from "../text/sanitize-text.js";
import type { LineStream, LogLine } from "./types.js";

/** Maximum text of a stored line, in UTF-8 bytes. */
export const MAX_LINE_BYTES = 8 * 1024;

export interface StoredLine {
  readonly seq: number;
  readonly timeMs: number;
  readonly stream: LineStream;
  readonly generation: number;
  readonly text: string;
  /** Bytes of the line before it was cut; 0 when it was not. */
  readonly cutFrom: number;
}

/** Streams by their number on disk. */
const STREAMS: readonly LineStream[] = ["stdout", "stderr", "install"];

/** Estimated memory of a line, in bytes. */
export const memoryCost = (line: StoredLine): number => line.text.length * 2 + 96;

/**
 * Encodes a line as one line of NDJSON. The format is an array, because keys would take half of the disk space of short
 * lines.
 */
export function encodeLine(line: StoredLine): string {
  const cut = line.cutFrom > 0 ? `,${line.cutFrom}` : "";
  return `[${line.seq},${line.timeMs},${STREAMS.indexOf(line.stream)},${line.generation},${JSON.stringify(line.text)}${cut}]\n`;
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

/** Decodes a line; undefined for partial or damaged data that `encodeLine` did not write. */
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
  return { seq, timeMs, stream: STREAMS[stream as number] ?? "stdout", generation, text, cutFrom };
}

/** Cache of the last formatted time: thousands of lines can share a millisecond. */
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

/**
 * Cuts the text to MAX_LINE_BYTES at a code point boundary. Returns a copy, because a slice would keep the whole text
 * in memory.
 */
export function cutLine(text: string): string {
  const cut = cutAtBytes(text, MAX_LINE_BYTES);
  return cut.length === text.length ? text : Buffer.from(cut).toString();
}
