/** Answers a query with the newest lines, or with the lines after a cursor, at once or when lines arrive. */
import { StackwardenError } from "../../errors.js";
import { parseCursor } from "./cursor.js";
import { compileFilter } from "./line-filter.js";
import type { QueriedStore, Settings } from "./matching.js";
import { pageAfter, tailPage } from "./pages.js";
import { summaryPage } from "./summary.js";
import type { LogPage, LogQuery } from "./types.js";
import { waitForLine } from "./wait-for-line.js";

const MOST_LINES = 10_000;
const DEFAULT_LINES = 100;
const DEFAULT_BYTES = 40_000;

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
