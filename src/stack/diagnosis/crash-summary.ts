/** Summarises several crashes of one service in one sentence. */
import type { StackEvent } from "../model.js";
import { SERVER_ACTOR } from "../storage/events.js";

const seconds = (ms: number): string => {
  const value = ms / 1000;
  return `${value < 10 ? Number(value.toFixed(1)) : Math.round(value)} s`;
};

const median = (values: readonly number[]): number => {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
};

/** An instance that lived longer than this was well: the crashes before it are of an earlier failure. */
const WELL_MS = 60_000;

/**
 * The crashes of the newest failure: those since the last start or restart by a client before it, and since the last
 * instance that lived longer than a minute.
 * @param events events of one service, oldest first
 */
export function newestCrashes(events: readonly StackEvent[]): StackEvent[] {
  const crashes: StackEvent[] = [];
  for (const event of events.toReversed()) {
    if (event.type === "service_crashed") crashes.unshift(event);
    else if (event.type === "service_starting" && event.actor !== SERVER_ACTOR && crashes.length > 0) break;
    if (event.type === "service_crashed" && Number(event.data?.lived_ms) > WELL_MS) break;
  }
  return crashes;
}

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
  // The first instance may have been well for long: it says nothing about the others.
  const lifetimes = crashes.flatMap(({ data }) =>
    typeof data?.lived_ms === "number" && data.lived_ms <= WELL_MS ? [data.lived_ms] : [],
  );
  return [
    `It crashed ${crashes.length} times in ${seconds(Date.parse(last.time) - Date.parse(first.time))}`,
    kills > 0 ? ` (${kills} OOM kill${kills === 1 ? "" : "s"})` : "",
    lifetimes.length > 1 ? `; an instance lived ${seconds(median(lifetimes))}` : "",
    ".",
  ].join("");
}
