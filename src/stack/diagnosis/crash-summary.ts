/** Summarises several crashes of one service in one sentence. */
import type { StackEvent } from "../model.js";

const seconds = (ms: number): string => {
  const value = ms / 1000;
  return `${value < 10 ? Number(value.toFixed(1)) : Math.round(value)} s`;
};

const median = (values: readonly number[]): number => {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
};

/**
 * `It crashed 6 times in 55 s (6 OOM kills); an instance lived 6.5 s.`
 * @param crashes the service's `service_crashed` events, oldest first
 * @returns null for fewer than two crashes
 */
export function crashSummary(crashes: readonly StackEvent[]): string | null {
  const [first] = crashes;
  const last = crashes.at(-1);
  if (first === undefined || last === undefined || crashes.length < 2) return null;
  const kills = crashes.filter(({ data }) => data?.oom_killed === true).length;
  const lived = crashes.flatMap(({ data }) => (typeof data?.lived_ms === "number" ? [data.lived_ms] : []));
  return [
    `It crashed ${crashes.length} times in ${seconds(Date.parse(last.time) - Date.parse(first.time))}`,
    kills > 0 ? ` (${kills} OOM kill${kills === 1 ? "" : "s"})` : "",
    lived.length > 1 ? `; an instance lived ${seconds(median(lived))}` : "",
    ".",
  ].join("");
}
