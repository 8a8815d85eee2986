/** Formats numbers and times for display. */

const two = (value: number): string => String(value).padStart(2, "0");

/** Local time of day. */
export function clock(iso: string, milliseconds = false): string {
  const time = new Date(iso);
  if (Number.isNaN(time.getTime())) return iso;
  const seconds = `${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}`;
  return milliseconds ? `${seconds}.${String(time.getMilliseconds()).padStart(3, "0")}` : seconds;
}

const MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");

/** Local date and time, such as `29 Nov 2026, 14:05`. */
export function moment(iso: string): string {
  const time = new Date(iso);
  if (Number.isNaN(time.getTime())) return iso;
  const day = `${time.getDate()} ${MONTHS[time.getMonth()]} ${time.getFullYear()}`;
  return `${day}, ${two(time.getHours())}:${two(time.getMinutes())}`;
}

/** `45 s`, `12 min`, `3 h 5 min`, `2 d 4 h`. */
export function duration(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return `${hours} h ${minutes % 60} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

export function grouped(value: number, decimals = 0): string {
  return value.toLocaleString("en", { minimumFractionDigits: 0, maximumFractionDigits: decimals });
}

/** Rounds to fewer digits as the value grows. */
export const amount = (value: number): string =>
  value > 0 && value < 0.005 ? "< 0.01" : grouped(value, value < 10 ? 2 : value < 100 ? 1 : 0);

export const plural = (count: number, one: string, many = `${one}s`): string =>
  `${grouped(count)} ${count === 1 ? one : many}`;

/** `service_healthy` as `service healthy`. */
export const words = (name: string): string => name.replaceAll("_", " ");
