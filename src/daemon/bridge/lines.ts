/** Splits a byte stream into lines. */

/** Longest message of a client in bytes; a longer one ends the connection. */
export const MAX_LINE = 64 * 1_048_576;
const NEWLINE = 10;

/** @returns a function that takes chunks and returns false when a line exceeds the limit */
export function lines(onLine: (line: string) => void, maxBytes = MAX_LINE): (chunk: Buffer) => boolean {
  let parts: Buffer[] = [];
  let size = 0;
  return (chunk) => {
    let from = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, from)) {
      parts.push(chunk.subarray(from, end));
      const line = parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts);
      parts = [];
      size = 0;
      from = end + 1;
      const text = line.toString("utf8");
      if (text.trim() !== "") onLine(text.endsWith("\r") ? text.slice(0, -1) : text);
    }
    if (from < chunk.length) {
      parts.push(chunk.subarray(from));
      size += chunk.length - from;
    }
    return size <= maxBytes;
  };
}
