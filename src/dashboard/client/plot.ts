/** A small plot of usage over at most the last hour, with the limit as a dashed line. */
import { h, setAttribute, setText, svg } from "./dom.js";
import { amount, clock, duration } from "./format.js";
import { LEAST_MS, WINDOW_MS } from "./history.js";

const WIDTH = 200;
const HEIGHT = 44;
/** Headroom above the highest value or limit. */
const HEADROOM = 1.12;
/** Share of the limit from which usage counts as close to the limit. */
const CLOSE = 0.9;

export interface Point {
  time: number;
  value: number | null;
}

export interface PlotView {
  points: readonly Point[];
  limit: number | null;
  now: number;
  /** False when the value is not measured now; earlier samples are still drawn. */
  live: boolean;
}

export interface Plot {
  element: HTMLElement;
  update(view: PlotView): void;
}

/** @param unit follows the number in labels, for example `cores` */
export function createPlot(title: string, unit: string): Plot {
  const area = svg("path", { class: "area" });
  const line = svg("path", { class: "use" });
  const limitLine = svg("line", { class: "limit", x1: 0, x2: WIDTH });
  const cursor = svg("line", { class: "cursor", y1: 0, y2: HEIGHT, visibility: "hidden" });
  const picture = svg(
    "svg",
    { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" },
    area,
    line,
    limitLine,
    cursor,
  );
  const value = h("span", { class: "value" });
  const since = h("span", { class: "since", "aria-hidden": "true" });
  const element = h(
    "figure",
    { class: "plot" },
    h("figcaption", {}, h("span", { class: "name" }, title), value),
    picture,
    since,
  );
  let currentView: PlotView = { points: [], limit: null, now: 0, live: false };
  let pointed: number | null = null;
  let spanMs = LEAST_MS;

  const xOf = (time: number): number => WIDTH * (1 - (currentView.now - time) / spanMs);
  const say = (): void => {
    const { points, limit, now, live } = currentView;
    const at = pointed === null ? (live ? points.at(-1) : undefined) : nearest(points, now - (1 - pointed) * spanMs);
    const number = at?.value ?? null;
    const of = limit === null ? ` ${unit}` : ` / ${amount(limit)} ${unit}`;
    const when = pointed === null || at === undefined ? "" : `${clock(new Date(at.time).toISOString())} · `;
    setText(value, number === null ? (limit === null ? "–" : `–${of}`) : `${when}${amount(number)}${of}`);
    setAttribute(cursor, "visibility", pointed === null || at === undefined ? "hidden" : "visible");
    if (at !== undefined) {
      const x = xOf(at.time).toFixed(1);
      setAttribute(cursor, "x1", x);
      setAttribute(cursor, "x2", x);
    }
  };
  picture.addEventListener("pointermove", (event) => {
    const { left, width } = picture.getBoundingClientRect();
    pointed = (event.clientX - left) / width;
    say();
  });
  picture.addEventListener("pointerleave", () => {
    pointed = null;
    say();
  });

  return {
    element,
    update: (view) => {
      currentView = view;
      spanMs = Math.min(WINDOW_MS, Math.max(LEAST_MS, view.now - (view.points[0]?.time ?? view.now)));
      setText(since, `${duration(spanMs)} ago`);
      const values = view.points.flatMap((point) => (point.value === null ? [] : [point.value]));
      const highest = Math.max(...values, 0);
      const top = Math.max(highest, view.limit ?? 0) * HEADROOM || 1;
      const yOf = (number: number): number => HEIGHT - (number / top) * HEIGHT;
      const runs = runsOf(view.points);
      const move = (run: [number, number][]): string =>
        run
          .map(([time, number], index) => `${index === 0 ? "M" : "L"}${xOf(time).toFixed(1)} ${yOf(number).toFixed(1)}`)
          .join("");
      setAttribute(line, "d", runs.map(move).join(""));
      setAttribute(
        area,
        "d",
        runs
          .map((run) => {
            const [first, last] = [run[0] as [number, number], run.at(-1) as [number, number]];
            return `${move(run)}L${xOf(last[0]).toFixed(1)} ${HEIGHT}L${xOf(first[0]).toFixed(1)} ${HEIGHT}Z`;
          })
          .join(""),
      );
      setAttribute(limitLine, "visibility", view.limit === null ? "hidden" : "visible");
      if (view.limit !== null) {
        const y = yOf(view.limit).toFixed(1);
        setAttribute(limitLine, "y1", y);
        setAttribute(limitLine, "y2", y);
      }
      const newest = view.live ? (view.points.at(-1)?.value ?? null) : null;
      const close = newest !== null && view.limit !== null && newest >= view.limit * CLOSE;
      element.classList.toggle("close", close);
      const limit = view.limit === null ? "no limit" : `limit ${amount(view.limit)} ${unit}`;
      setAttribute(
        picture,
        "aria-label",
        newest === null
          ? `${title}: not measured, ${limit}`
          : `${title}: ${amount(newest)} ${unit} now, at most ${amount(highest)} in the last ${duration(spanMs)}, ${limit}${close ? ", close to it" : ""}`,
      );
      say();
    },
  };
}

/** Splits the samples into runs without gaps. */
function runsOf(points: readonly Point[]): [number, number][][] {
  const runs: [number, number][][] = [];
  let run: [number, number][] = [];
  for (const { time, value } of points) {
    if (value !== null) {
      if (run.length === 0) runs.push(run);
      run.push([time, value]);
    } else run = [];
  }
  return runs;
}

function nearest(points: readonly Point[], time: number): Point | undefined {
  let best: Point | undefined;
  for (const point of points)
    if (best === undefined || Math.abs(point.time - time) < Math.abs(best.time - time)) best = point;
  return best;
}
