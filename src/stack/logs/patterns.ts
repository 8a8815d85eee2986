/** Patterns of log lines: lines that differ only in numbers and ids have the same pattern. */

/** Maximum characters of a line that are compared. */
const COMPARED = 500;
/**
 * UUIDs, hexadecimal ids, and numbers with their units. A separate number of three digits is kept, because it may be an
 * HTTP status, and `200` differs from `500`.
 */
const VARIABLE =
  /\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|\b0x[0-9a-f]+\b|\b(?=[a-f]{0,64}\d)(?=\d{0,64}[a-f])[0-9a-f]{7,64}\b|\d+(?:[.,:]\d+)*/gi;
const STATUS = /^[1-5]\d\d$/;

/** The line with `#` in place of every variable part. */
export function patternOf(text: string): string {
  return text
    .slice(0, COMPARED)
    .replace(VARIABLE, (match, offset: number, whole: string) =>
      STATUS.test(match) && standsAlone(whole, offset, match.length) ? match : "#",
    );
}

const UNIT = /^(?:[\w.%]|,\d|:\d| ?(?:ms|us|µs|ns|s|m|b|kb|kib|mb|mib|gb|rows?|bytes|items)\b)/i;

const standsAlone = (text: string, offset: number, length: number): boolean =>
  !/[\w.:#-]/.test(text[offset - 1] ?? " ") && !UNIT.test(text.slice(offset + length));

/** Minimum number of similar lines that are represented by the newest of them. */
const LEAST_SIMILAR = 3;

/** The lines with the newest of several that differ only in numbers and ids, and the number of them. */
export function foldSimilar(lines: readonly string[]): string[] {
  // Stack frames make sense only in their position.
  const patterns = lines.map((line) => (/^\s/.test(line) ? null : patternOf(line)));
  return lines.flatMap((line, at) => {
    const pattern = patterns[at];
    const count = patterns.filter((other) => other === pattern).length;
    if (pattern === null || pattern === undefined || count < LEAST_SIMILAR) return [line];
    return patterns.lastIndexOf(pattern) === at ? [`${line} [${count} similar]`] : [];
  });
}
