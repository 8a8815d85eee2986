/** Durations as people and models write them. */

const UNIT_MS: Record<string, number> = {
  ms: 1,
  s: 1000,
  sec: 1000,
  second: 1000,
  m: 60_000,
  min: 60_000,
  minute: 60_000,
  h: 3_600_000,
  hr: 3_600_000,
  hour: 3_600_000,
  d: 86_400_000,
  day: 86_400_000,
};
const PART = /(\d{1,9}(?:\.\d{1,6})?) ?([a-z]{1,7}) ?/gy;

/**
 * @param text such as `90s`, `5min`, `1h30m`, `2 hours`; a bare number has no unit and is not a duration
 * @returns milliseconds, or null when the text is not a duration
 */
export function durationMs(text: string): number | null {
  const whole = text.trim().toLowerCase();
  if (whole === "" || whole.length > 40) return null;
  let sum = 0;
  PART.lastIndex = 0;
  while (PART.lastIndex < whole.length) {
    const part = PART.exec(whole);
    if (part === null) return null;
    const [, amount = "", name = ""] = part;
    const unit = UNIT_MS[name] ?? (name.length > 2 && name.endsWith("s") ? UNIT_MS[name.slice(0, -1)] : undefined);
    if (unit === undefined) return null;
    sum += Number(amount) * unit;
  }
  return sum;
}

/** For people: `2 h`, `90 min`, `45 s`. */
export function durationText(ms: number): string {
  const seconds = Math.round(ms / 1000);
  if (seconds < 120) return `${seconds} s`;
  return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}
