/** Pages of matching lines: the newest ones, or those after a seq. */
import { formatCursor } from "./cursor.js";
import { linesAfter } from "./log-view.js";
import { droppedOf, matching, type QueriedStore, type Settings, takeViews } from "./matching.js";
import { PageBuilder } from "./page-builder.js";
import { notShown } from "./truncation.js";
import type { LogPage } from "./types.js";

/** Maximum lines that are searched for one more match to determine whether lines were omitted. */
const LOOK_FURTHER = 10_000;

/** The newest lines. */
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

/**
 * The lines after a seq, and the seq through which the page answers.
 * @param start position from which lost lines are reported; earlier rounds of a long poll gave no answer
 */
export async function pageAfter(
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
