/** What a query searches, and the lines that match it. */
import { setImmediate } from "node:timers/promises";
import { StackwardenError } from "../../errors.js";
import type { DroppedLines } from "./dropped-lines.js";
import type { LineFilter } from "./line-filter.js";
import { type LogView, newestFirst, oldestFirst } from "./log-view.js";
import { type MergedLine, mergeLines } from "./merge.js";
import { LONGEST_RECORD, RecordFilter } from "./record-filter.js";
import type { LogQuery } from "./types.js";

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

/** A query with its defaults. */
export interface Settings {
  services: string[];
  tail: number;
  maxBytes: number;
  collapse: boolean;
  filter: LineFilter;
  query: LogQuery;
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
