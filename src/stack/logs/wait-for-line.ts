/** Waits for a line: searches lines of the current instance, or after a time or a cursor, and then new lines. */
import { formatCursor, parseCursor } from "./cursor.js";
import { textTest } from "./line-filter.js";
import { oldestFirst } from "./log-view.js";
import { type MergedLine, mergeLines } from "./merge.js";
import { droppedOf, type QueriedStore, type Settings, tailPage, takeViews } from "./query.js";
import { needlesOf } from "./raw-search.js";
import { toLogLine } from "./stored-line.js";
import type { LogPage } from "./types.js";

/** Lines of the same service before and after the one that matches. */
const DEFAULT_CONTEXT = 5;
const DEFAULT_WAIT_MS = 20_000;
/** Last lines in an answer without a match. */
const UNMATCHED_TAIL = 20;

/**
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
  const begin = present && query.newLines === true ? newest : 0;
  let after = query.cursor === undefined ? begin : parseCursor(query.cursor, store.epoch, store.lastSeq);
  for (;;) {
    const end = store.lastSeq;
    const around = await firstMatch(store, settings, { test, needles }, after, present);
    if (around !== null) return matchPage(store, settings, around);
    after = end;
    if (await store.grown(settings.services, after, deadline, query.signal)) continue;
    const { waitFor: _pattern, waitMs: _wait, cursor: _cursor, signal: _signal, ...rest } = query;
    const tail = Math.min(settings.tail, UNMATCHED_TAIL);
    const page = await tailPage(store, { ...settings, tail, query: rest });
    return { ...page, omitted: null, wait: { met: false, reason: `No line matched within ${waitMs / 1000} s.` } };
  }
}

interface Around {
  match: MergedLine;
  lines: MergedLine[];
}

async function firstMatch(
  store: QueriedStore,
  settings: Settings,
  { test, needles }: { test: (text: string) => boolean; needles: readonly string[] | undefined },
  after: number,
  present: boolean,
): Promise<Around | null> {
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
  const before = new Map<string, MergedLine[]>();
  let around: Around | null = null;
  for await (const batch of mergeLines(sources, 1)) {
    for (const entry of batch) {
      const { service, line } = entry;
      if (!filter.inScope(line, generations.get(service)) || !filter.test(line.text)) continue;
      if (around !== null) {
        if (around.match.service === service) around.lines.push(entry);
        if (around.lines.length - around.lines.indexOf(around.match) > context) return around;
        continue;
      }
      const earlier = before.get(service) ?? [];
      if (test(line.text)) around = { match: entry, lines: [...earlier, entry] };
      before.set(service, context === 0 ? [] : [...earlier, entry].slice(-context));
    }
    if (query.signal?.aborted) break;
  }
  return around;
}

function matchPage(store: QueriedStore, settings: Settings, { match, lines }: Around): LogPage {
  const { service } = match;
  return {
    lines: lines.map((entry) => toLogLine(entry.service, entry.line)),
    next_cursor: formatCursor(store.epoch, lines.at(-1)?.line.seq ?? match.line.seq),
    line_count: lines.length,
    omitted: null,
    dropped: droppedOf(takeViews(store, settings)),
    wait: { met: true, reason: `A line of ${service} matched.`, seq: match.line.seq },
  };
}
