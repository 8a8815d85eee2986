/** Counts lines by level and message over time. */
import { formatCursor } from "./cursor.js";
import { continues, LOG_LEVELS, type LogLevel, levelOf, levelRank } from "./levels.js";
import { droppedOf, matching, type QueriedStore, type Settings, takeViews } from "./matching.js";
import { patternOf } from "./patterns.js";
import { inTraceback, isException, isFrame, mayEndTraceback } from "./stack-traces.js";
import { isoTime, type StoredLine } from "./stored-line.js";
import type { LogPage } from "./types.js";

/** Maximum number of newest lines that are counted. */
const MOST_LINES = 100_000;
const MOST_MESSAGES = 20;
/** Maximum number of distinct messages during counting. */
const MOST_PATTERNS = 5000;
const PERIODS = 10;
const LONGEST_EXAMPLE = 300;

interface Message {
  service: string;
  level: LogLevel | null;
  count: number;
  firstMs: number;
  lastMs: number;
  text: string;
}

export async function summaryPage(store: QueriedStore, settings: Settings): Promise<LogPage> {
  const end = store.lastSeq;
  const views = takeViews(store, settings);
  const messages = new Map<string, Message>();
  const times: { timeMs: number; isError: boolean }[] = [];
  const levels: Partial<Record<LogLevel | "unknown", number>> = {};
  let others = 0;
  let continued = 0;
  const count = (service: string, line: StoredLine, level: LogLevel | null): void => {
    levels[level ?? "unknown"] = (levels[level ?? "unknown"] ?? 0) + 1;
    times.push({ timeMs: line.timeMs, isError: levelRank(level) >= levelRank("error") });
    const key = `${service} ${patternOf(line.text)}`;
    const counted = messages.get(key);
    if (counted !== undefined) {
      counted.count += 1;
      counted.firstMs = Math.min(counted.firstMs, line.timeMs);
      counted.lastMs = Math.max(counted.lastMs, line.timeMs);
    } else if (messages.size < MOST_PATTERNS) {
      const { timeMs } = line;
      const text = line.text.slice(0, LONGEST_EXAMPLE);
      messages.set(key, { service, level, count: 1, firstMs: timeMs, lastMs: timeMs, text });
    } else others += 1;
  };
  /** By service: frames that belong to the next older line, and a line that is an error if the older ones are frames. */
  const states = new Map<string, { frames: boolean; undecided: StoredLine | null }>();
  const decide = (service: string, state: { undecided: StoredLine | null }, isError: boolean): void => {
    if (state.undecided !== null) count(service, state.undecided, isError ? "error" : null);
    state.undecided = null;
  };
  let read = 0;
  search: for await (const { matches } of matching(views, settings, -1, 0)) {
    for (const { service, line } of matches) {
      if (read === MOST_LINES) break search;
      read += 1;
      const { text } = line;
      const state = states.get(service) ?? { frames: false, undecided: null };
      states.set(service, state);
      const isPython = inTraceback(text, false);
      if (isPython || !inTraceback(text, true)) decide(service, state, isPython);
      if (continues(text)) {
        // The line continues another message.
        continued += 1;
        state.frames ||= isFrame(text);
        continue;
      }
      const { frames } = state;
      state.frames = false;
      if (isException(text, { afterFrames: false, frames })) count(service, line, "error");
      else if (mayEndTraceback(text)) state.undecided = line;
      else count(service, line, levelOf(text));
    }
  }
  for (const [service, state] of states) decide(service, state, false);
  const ranked = [...messages.values()].sort(
    (one, other) => levelRank(other.level) - levelRank(one.level) || other.count - one.count,
  );
  const listed = ranked.slice(0, MOST_MESSAGES);
  return {
    lines: [],
    next_cursor: formatCursor(store.epoch, end),
    line_count: 0,
    omitted: null,
    dropped: droppedOf(views),
    summary: {
      lines: times.length + continued,
      levels: Object.fromEntries(
        [...LOG_LEVELS.toReversed(), "unknown" as const].flatMap((level) =>
          levels[level] === undefined ? [] : [[level, levels[level]]],
        ),
      ),
      messages: listed.map(({ firstMs, lastMs, ...message }) => ({
        ...message,
        first: isoTime(firstMs),
        last: isoTime(lastMs),
      })),
      other_messages: ranked.length - listed.length + others,
      periods: periodsOf(times),
    },
  };
}

/** Counts lines in periods of equal length from the first line to the last. */
function periodsOf(times: readonly { timeMs: number; isError: boolean }[]) {
  const first = times.reduce((least, { timeMs }) => Math.min(least, timeMs), Number.POSITIVE_INFINITY);
  const last = times.reduce((most, { timeMs }) => Math.max(most, timeMs), 0);
  if (times.length === 0) return [];
  const lengthMs = Math.max(1000, Math.ceil((last - first + 1) / PERIODS));
  const count = Math.floor((last - first) / lengthMs) + 1;
  const periods = Array.from({ length: count }, (_, at) => ({
    from: isoTime(first + at * lengthMs),
    lines: 0,
    errors: 0,
  }));
  for (const { timeMs, isError } of times) {
    const period = periods[Math.floor((timeMs - first) / lengthMs)];
    if (period === undefined) continue;
    period.lines += 1;
    if (isError) period.errors += 1;
  }
  return periods;
}
