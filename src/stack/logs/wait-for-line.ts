/** Waits for a line: searches lines of the current instance, or after a time or a cursor, and then new lines. */
import { formatCursor, parseCursor } from "./cursor.js";
import { textTest } from "./line-filter.js";
import { oldestFirst } from "./log-view.js";
import { droppedOf, type QueriedStore, type Settings, takeViews } from "./matching.js";
import { type MergedLine, mergeLines } from "./merge.js";
import { costOf, PageBuilder } from "./page-builder.js";
import { tailPage } from "./pages.js";
import { needlesOf } from "./raw-search.js";
import { notShown } from "./truncation.js";
import type { LogPage } from "./types.js";

/** Lines of the same service before and after the one that matches. */
const DEFAULT_CONTEXT = 5;
const DEFAULT_WAIT_MS = 20_000;
/** Last lines in an answer without a match. */
const UNMATCHED_TAIL = 20;

/** A line that matches, and the lines of its service directly before it. */
interface Match {
  entry: MergedLine;
  before: MergedLine[];
}

/**
 * A caller that reads from a position (a cursor, or the newest line with `newLines`) continues with the answer's cursor.
 * The answer therefore contains the lines of all services after that position, or counts those that exceed its bounds.
 * @param newest the newest line at the call
 * @throws INVALID_INPUT for an expression that RE2 refuses or a cursor of another log
 */
export async function waitForLine(
  store: QueriedStore,
  settings: Settings,
  pattern: string,
  newest: number,
): Promise<LogPage> {
  const { query } = settings;
  const waitMs = query.waitMs ?? DEFAULT_WAIT_MS;
  const deadline = Date.now() + waitMs;
  const test = (await textTest("wait_for", pattern, query.regex)) ?? (() => true);
  const needles = needlesOf(pattern, query.regex === true);
  // Ignore lines of earlier instances unless the query has a time or a cursor.
  const present = query.cursor === undefined && query.sinceMs === undefined;
  const onlyNew = present && query.newLines === true ? newest : undefined;
  const position = query.cursor === undefined ? onlyNew : parseCursor(query.cursor, store.epoch, store.lastSeq);
  // A context can be older than the round of the wait in which the match arrives.
  const before = new Map<string, MergedLine[]>();
  let after = position ?? 0;
  for (;;) {
    const end = store.lastSeq;
    const match = await firstMatch(store, settings, { test, needles, before }, after, present);
    if (match !== null) return matchPage(store, settings, match, position);
    after = end;
    if (await store.grown(settings.services, after, deadline, query.signal)) continue;
    const reason = `No line matched within ${waitMs / 1000} s.`;
    return { ...(await unmatchedPage(store, settings, position)), wait: { met: false, reason } };
  }
}

async function firstMatch(
  store: QueriedStore,
  settings: Settings,
  {
    test,
    needles,
    before,
  }: {
    test: (text: string) => boolean;
    needles: readonly string[] | undefined;
    before: Map<string, MergedLine[]>;
  },
  after: number,
  present: boolean,
): Promise<Match | null> {
  const { filter, query } = settings;
  const context = query.context ?? DEFAULT_CONTEXT;
  const views = takeViews(store, settings);
  const generations = new Map(views.map((view) => [view.service, present ? view.generation : undefined]));
  const search = needles === undefined ? undefined : { needles, neighbours: true };
  const sources = new Map(
    views.map((view) => [
      view.service,
      oldestFirst(view, after, filter.segmentFilter(generations.get(view.service)), search),
    ]),
  );
  for await (const batch of mergeLines(sources, 1)) {
    for (const entry of batch) {
      const { service, line } = entry;
      if (!filter.inScope(line, generations.get(service)) || !filter.test(line.text)) continue;
      const earlier = before.get(service) ?? [];
      if (test(line.text)) return { entry, before: earlier };
      before.set(service, context === 0 ? [] : [...earlier, entry].slice(-context));
    }
    if (query.signal?.aborted) break;
  }
  return null;
}

/** The matching line, lines before it, and those of all services up to the last line of its context. */
async function matchPage(
  store: QueriedStore,
  settings: Settings,
  { entry: match, before }: Match,
  position: number | undefined,
): Promise<LogPage> {
  const { context } = settings.query;
  const { service, line } = match;
  const contextLines = context ?? DEFAULT_CONTEXT;
  const most = Math.max(contextLines, settings.tail - 1);
  const end = store.lastSeq;
  const earlier = new NewestLines(position === undefined ? contextLines : (context ?? most));
  if (position === undefined) for (const entry of before) earlier.add(entry);
  const shown = [match];
  let missing = contextLines;
  let room = settings.maxBytes - costOf(match);
  for await (const entry of linesBetween(store, settings, position ?? line.seq, end)) {
    if (entry.line.seq < line.seq) {
      // An explicit context is one of the same service.
      if (context === undefined || entry.service === service) earlier.add(entry);
      else earlier.skip();
    } else if (entry.line.seq > line.seq) {
      room -= costOf(entry);
      if (missing === 0 || shown.length > most || room < 0) break;
      shown.push(entry);
      if (entry.service === service) missing -= 1;
    }
  }
  const page = pageOf(store, settings, [...earlier.lines, ...shown], {
    count: earlier.count + shown.length,
    always: shown.length,
    position,
    next: shown.at(-1)?.line.seq ?? line.seq,
  });
  return { ...page, wait: { met: true, reason: `A line of ${service} matched.`, seq: line.seq } };
}

/** The lines after the position; without one, or after few lines, the last lines. */
async function unmatchedPage(store: QueriedStore, settings: Settings, position: number | undefined): Promise<LogPage> {
  const { waitFor: _pattern, waitMs: _wait, cursor, signal: _signal, ...query } = settings.query;
  const tail = Math.min(settings.tail, UNMATCHED_TAIL);
  const last = await tailPage(store, { ...settings, tail, query });
  if (position === undefined) return { ...last, omitted: null };
  const end = parseCursor(last.next_cursor, store.epoch, store.lastSeq);
  const since = new NewestLines(settings.tail);
  for await (const entry of linesBetween(store, settings, position, end)) since.add(entry);
  // A caller without a cursor has not read the last lines yet.
  const few = since.count <= last.line_count;
  if (cursor === undefined && few) return { ...last, omitted: null };
  return pageOf(store, settings, since.lines, { count: since.count, always: 0, position, next: end });
}

/** The newest of the lines that are added, and the number of the others. */
class NewestLines {
  #lines: MergedLine[] = [];
  #count = 0;

  constructor(private readonly most: number) {}

  add(entry: MergedLine): void {
    this.#count += 1;
    this.#lines.push(entry);
    if (this.#lines.length > this.most * 2 + 100) this.#lines = this.lines;
  }

  /** Counts a line without keeping it. */
  skip(): void {
    this.#count += 1;
  }

  get lines(): MergedLine[] {
    return this.most === 0 ? [] : this.#lines.slice(-this.most);
  }

  get count(): number {
    return this.#count;
  }
}

/** Yields the lines in scope after one seq up to another, oldest first, of every instance. */
async function* linesBetween(
  store: QueriedStore,
  settings: Settings,
  after: number,
  through: number,
): AsyncGenerator<MergedLine> {
  const { filter } = settings;
  const sources = new Map(
    takeViews(store, settings).map((view) => [view.service, oldestFirst(view, after, filter.segmentFilter(undefined))]),
  );
  for await (const batch of mergeLines(sources, 1)) {
    for (const entry of batch) {
      if (entry.line.seq > through) return;
      if (filter.inScope(entry.line, undefined) && filter.test(entry.line.text)) yield entry;
    }
  }
}

/**
 * @param count number of lines after the position
 * @param always number of newest lines that are on the page whatever their size
 */
function pageOf(
  store: QueriedStore,
  settings: Settings,
  lines: readonly MergedLine[],
  { count, always, position, next }: { count: number; always: number; position: number | undefined; next: number },
): LogPage {
  const newestFirst = lines.toReversed();
  const size = newestFirst.slice(0, always).reduce((sum, entry) => sum + costOf(entry), 0);
  const builder = new PageBuilder(-1, settings.collapse, Math.max(settings.maxBytes, size));
  const full = newestFirst.some((entry) => !builder.add(entry));
  const onPage = builder.lines();
  return {
    lines: onPage,
    next_cursor: formatCursor(store.epoch, next),
    line_count: builder.lineCount,
    omitted:
      position === undefined
        ? null
        : notShown.ofWait({
            lines: count - builder.lineCount,
            full,
            position: formatCursor(store.epoch, position),
            firstTime: onPage[0]?.time,
          }),
    dropped: droppedOf(takeViews(store, settings)),
  };
}
