/** Parses Compose's durations and byte sizes. Both parsers return null for invalid text. */

const UNIT_MS: Record<string, number> = { us: 0.001, ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/**
 * `1m30s`, `500ms`, `1.5s`, in milliseconds, rounded. A number without a unit is invalid, as in Compose, except `0`.
 */
export function parseDuration(text: string): number | null {
  if (text === "0") return 0;
  if (text.length > 64 || !/^(?:\d+(?:\.\d+)?(?:us|ms|s|m|h))+$/.test(text)) return null;
  let total = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(us|ms|s|m|h)/g))
    total += Number(amount) * (UNIT_MS[unit ?? ""] ?? Number.NaN);
  return Number.isFinite(total) ? Math.round(total) : null;
}

const POWER: Record<string, number> = { "": 0, b: 0, k: 1, m: 2, g: 3, t: 4 };

/** `512m`, `1.5gb`, `2048` (bytes), in bytes, rounded; units are powers of 1,024, in either case. */
export function parseBytes(value: string | number): number | null {
  const match = /^(\d+(?:\.\d+)?)\s*(b|[kmgt]b?)?$/i.exec(String(value));
  if (match === null) return null;
  const power = POWER[(match[2] ?? "").toLowerCase().slice(0, 1)];
  const bytes = Number(match[1]) * 1024 ** (power ?? Number.NaN);
  return Number.isSafeInteger(Math.round(bytes)) ? Math.round(bytes) : null;
}

/** Bytes as MB of 1,048,576 bytes. */
export const toMegabytes = (bytes: number): number => bytes / 1_048_576;
