/** What happened, newest first. */
import { h, setText } from "./dom.js";
import { clock, words } from "./format.js";
import type { StackEvent } from "./types.js";

const KEPT = 200;

const BAD = new Set(["service_crashed", "service_unhealthy", "stack_lost", "stack_start_failed", "restart_given_up"]);
const GOOD = new Set(["service_healthy", "stack_started", "service_restarted", "service_completed"]);
/** Worth interrupting a reader for. */
const HEARD = new Set([...BAD, "stack_started", "stack_stopped", "service_healthy"]);

export interface EventsPanel {
  element: HTMLElement;
  add(events: readonly StackEvent[]): void;
  clear(): void;
}

export function createEventsPanel(hear: (text: string) => void): EventsPanel {
  const list = h("ol", { class: "events", tabindex: 0, "aria-label": "Events, newest first" });
  const none = h("p", { class: "hint" }, "Nothing has happened yet.");
  const element = h("section", { class: "panel", "aria-label": "Events" }, h("h2", {}, "Events"), none, list);
  let first = true;
  return {
    element,
    add: (events) => {
      for (const event of events) list.prepend(entry(event));
      while (list.childElementCount > KEPT) list.lastElementChild?.remove();
      none.hidden = list.childElementCount > 0;
      const heard = events.filter(({ type }) => HEARD.has(type)).at(-1);
      if (!first && heard !== undefined) hear(heard.message);
      first = false;
    },
    clear: () => {
      list.replaceChildren();
      setText(none, "Nothing has happened yet.");
      none.hidden = false;
      first = true;
    },
  };
}

function entry({ time, type, service, message, actor }: StackEvent): HTMLElement {
  const tone = BAD.has(type) ? "bad" : GOOD.has(type) ? "good" : "off";
  return h(
    "li",
    { "data-tone": tone, "data-type": type },
    h(
      "div",
      { class: "row between" },
      h("span", { class: "type" }, words(type), service !== null && h("b", {}, ` ${service}`)),
      h("time", { datetime: time, title: time }, clock(time)),
    ),
    h("p", {}, message),
    actor !== "stackwarden" && h("p", { class: "hint" }, `by ${actor}`),
  );
}
