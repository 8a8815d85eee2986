/** Answers a query with the newest lines, or with the lines after a cursor, at once or when lines arrive. */
import { setImmediate } from "node:timers/promises";
import { StackwardenError } from "../../errors.js";
import { formatCursor, parseCursor } from "./cursor.js";
import type { DroppedLines } from "./dropped-lines.js";
import { compileFilter, type LineFilter } from "./line-filter.js";
import { type LogView, linesAfter, newestFirst, oldestFirst } from "./log-view.js";
import { type MergedLine, mergeLines } from "./merge.js";
import { PageBuilder } from "./page-builder.js";
import { LONGEST_RECORD, RecordFilter } from "./record-filter.js";
import { summaryPage } from "./summary.js";
import { notShown } from "./truncation.js";
import type { LogPage, LogQuery } from "./types.js";
import { waitForLine } from "./wait-for-line.js";

const MOST_LINES = 10_000;
const DEFAULT_LINES = 100;
const DEFAULT_BYTES = 40_000;
/** Maximum lines that are searched for one more match to determine whether lines were omitted. */
const LOOK_FURTHER = 10_000;

/** A service's lines for a query. */
export interface QueriedService extends LogView {
  service: string;
  generation: number;
  losses: DroppedLines;
}

export interface QueriedStore {
  readonly epoch: string;
  readonly lastSeq: number;
  readonly services: Iterable<string>;
  /**
   * Undefined for a service that never had a log. Views of several services are consistent when taken in the same tick.
   */
  view(service: string): QueriedService | undefined;
  /**
   * Waits until one of the services may have a line above `seq`. Resolves to false at `deadline` (epoch milliseconds)
   * and on abort.
   */
  grown(services: readonly string[], seq: number, deadline: number, signal?: AbortSignal): Promise<boolean>;
}

export interface Settings {
  services: string[];
  tail: number;
  maxBytes: number;
  collapse: boolean;
  filter: LineFilter;
  query: LogQuery;
}

function whole(name: string, value: number, from: number, to: number): number {
  if (Number.isInteger(value) && value >= from && value <= to) return value;
  const range = `${from.toLocaleString("en-US")} to ${to.toLocaleString("en-US")}`;
  throw new StackwardenError("INVALID_INPUT", `${name} must be a whole number from ${range}, not ${value}.`, {
    hint: `Give ${name} a value from ${range}, or leave it out.`,
  });
}

/**
 * Answers a query. An aborted signal ends a wait with an answer without lines.
 * @throws INVALID_INPUT for a cursor of another log, an expression that RE2 refuses or a number out of range;
 * OPERATION_CANCELLED when the signal aborts a search.
 */
export async function answerQuery(store: QueriedStore, query: LogQuery): Promise<LogPage> {
  const newest = store.lastSeq;
  const settings: Settings = {
    services: [...new Set(query.services?.length ? query.services : store.services)],
    tail: whole("tail", query.tail ?? DEFAULT_LINES, 1, MOST_LINES),
    maxBytes: whole("maxBytes", query.maxBytes ?? DEFAULT_BYTES, 1, Number.MAX_SAFE_INTEGER),
    collapse: query.collapse ?? true,
    filter: await compileFilter(query),
    query,
  };
  if (query.summary === true) return summaryPage(store, settings);
  if (query.waitFor !== undefined) return waitForLine(store, settings, query.waitFor, newest);
  const wait = query.waitMs ?? 0;
  if (query.cursor === undefined && wait <= 0) return explained(await tailPage(store, settings), settings);
  const start = query.cursor === undefined ? newest : parseCursor(query.cursor, store.epoch, store.lastSeq);
  const deadline = Date.now() + wait;
  let { page, through } = await pageAfter(store, settings, start, start);
  while (page.lines.length === 0 && (await store.grown(settings.services, through, deadline, query.signal))) {
    ({ page, through } = await pageAfter(store, settings, through, start));
  }
  if (wait <= 0 || page.lines.length > 0) return explained(page, settings);
  const what = settings.filter.narrow ? "No new line matched" : "No new line was printed";
  return { ...page, wait: { met: false, reason: `${what} within ${wait / 1000} s.` } };
}

/** Adds why a page has no lines. */
function explained(page: LogPage, { filter, query }: Settings): LogPage {
  if (page.lines.length > 0) return page;
  const { sinceMs, cursor } = query;
  const used = [
    ...(query.grep ? ["grep"] : []),
    ...(query.minLevel === undefined ? [] : ["the level"]),
    ...(query.stream === undefined ? [] : ["stream"]),
    ...(sinceMs === undefined ? [] : ["since"]),
    ...(query.untilMs === undefined ? [] : ["until"]),
    ...(query.previous === true ? ["previous"] : []),
  ];
  const after = cursor === undefined ? "" : " after the cursor";
  if (sinceMs !== undefined && sinceMs > Date.now()) return { ...page, note: "since is in the future." };
  if (filter.narrow) return { ...page, note: `No line${after} matches ${used.join(", ")}.` };
  return after === "" ? page : { ...page, note: `No line was printed${after}.` };
}

export const takeViews = (store: QueriedStore, { services }: Settings): QueriedService[] =>
  services.flatMap((service) => store.view(service) ?? []);

/** The instance to which a query is limited; undefined for all instances. */
const generationOf = (view: QueriedService, { previous }: LogQuery): number | undefined =>
  previous === true ? view.generation - 1 : undefined;

/**
 * Yields matching lines in the store's order, and the number of examined lines.
 * @throws OPERATION_CANCELLED when the signal aborts
 */
export async function* matching(
  views: readonly QueriedService[],
  { filter, query }: Settings,
  direction: 1 | -1,
  after: number,
): AsyncGenerator<{ matches: MergedLine[]; examined: number }> {
  const generations = new Map(views.map((view) => [view.service, generationOf(view, query)]));
  const { minLevel, context = 0 } = query;
  const { needles } = filter;
  const whole = minLevel !== undefined || context > 0;
  const search = needles === undefined ? undefined : { needles, neighbours: whole };
  // A record can begin before the position of the query and continue after it.
  const begin = whole ? Math.max(0, after - LONGEST_RECORD) : after;
  const sources = new Map(
    views.map((view) => {
      const segmentFilter = filter.segmentFilter(generations.get(view.service));
      return [
        view.service,
        direction === 1 ? oldestFirst(view, begin, segmentFilter, search) : newestFirst(view, segmentFilter, search),
      ];
    }),
  );
  const records = !whole
    ? null
    : new RecordFilter({ context, test: filter.test, ...(minLevel === undefined ? {} : { minLevel }) }, direction);
  const newer = (lines: MergedLine[]): MergedLine[] => lines.filter(({ line }) => line.seq > after);
  for await (const lines of mergeLines(sources, direction)) {
    const scoped = lines.filter(({ service, line }) => filter.inScope(line, generations.get(service)));
    const matches =
      records === null ? scoped.filter(({ line }) => filter.test(line.text)) : newer(records.push(scoped));
    yield { matches, examined: lines.length };
    if (query.signal?.aborted) {
      throw new StackwardenError("OPERATION_CANCELLED", "The search of the logs was cancelled.", {
        hint: "Narrow it with service or since, then call again.",
      });
    }
    // Matching expressions against many lines must not block the event loop.
    if (filter.narrow) await setImmediate();
  }
  if (records !== null) yield { matches: newer(records.flush()), examined: 0 };
}

export const droppedOf = (views: readonly QueriedService[]): Record<string, number> => {
  const dropped: Record<string, number> = Object.create(null);
  for (const { service, losses } of views) if (losses.total > 0) dropped[service] = losses.total;
  return dropped;
};

export async function tailPage(store: QueriedStore, settings: Settings): Promise<LogPage> {
  const { tail, query } = settings;
  const end = store.lastSeq;
  const views = takeViews(store, settings);
  const builder = new PageBuilder(-1, settings.collapse, settings.maxBytes);
  let oldest = end + 1;
  let matched = 0;
  let examinedSince = 0;
  let older = false;
  search: for await (const { matches, examined } of matching(views, settings, -1, 0)) {
    for (const entry of matches) {
      older = matched === tail;
      if (older) break search;
      matched += 1;
      oldest = Math.min(oldest, entry.line.seq);
      builder.add(entry);
    }
    if (matched === tail) examinedSince += examined;
    older = examinedSince > LOOK_FURTHER;
    if (older) break;
  }
  const count = (after: number): number => views.reduce((sum, view) => sum + linesAfter(view, after), 0);
  const lines = builder.lines();
  const { epoch } = store;
  return {
    lines,
    next_cursor: formatCursor(epoch, end),
    line_count: builder.lineCount,
    omitted: notShown.ofTail({
      cut: matched - builder.lineCount,
      beforeCut: formatCursor(epoch, oldest - 1),
      older: older ? Math.max(1, count(0) - count(oldest - 1)) : 0,
      narrow: settings.filter.narrow,
      firstTime: lines[0]?.time,
      beginning: formatCursor(epoch, 0),
      lost: views.reduce((sum, { losses }) => sum + losses.after(0, query.sinceMs), 0),
    }),
    dropped: droppedOf(views),
  };
}

/** @param start position from which lost lines are reported; earlier rounds of a long poll gave no answer */
async function pageAfter(
  store: QueriedStore,
  settings: Settings,
  after: number,
  start: number,
): Promise<{ page: LogPage; through: number }> {
  const end = store.lastSeq;
  const views = takeViews(store, settings);
  const builder = new PageBuilder(1, settings.collapse, settings.maxBytes);
  let through = end;
  let last = after;
  let full = false;
  search: for await (const { matches } of matching(views, settings, 1, after)) {
    for (const entry of matches) {
      full = !builder.add(entry);
      if (full) break search;
      last = Math.max(last, entry.line.seq);
      if (builder.lineCount === settings.tail) break search;
    }
  }
  if (full || builder.lineCount === settings.tail) through = last;
  const next = formatCursor(store.epoch, through);
  const page: LogPage = {
    lines: builder.lines(),
    next_cursor: next,
    line_count: builder.lineCount,
    omitted: notShown.ofPage({
      next,
      full,
      later: through === end ? 0 : views.reduce((sum, view) => sum + linesAfter(view, through), 0),
      lost: views.reduce((sum, { losses }) => sum + losses.after(start, settings.query.sinceMs), 0),
    }),
    dropped: droppedOf(views),
  };
  return { page, through };
}
