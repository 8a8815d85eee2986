/** The list of events, newest first. */

import { EVENTS, type EventSeverity } from "../../stack/vocabulary.js";
import { h, setText } from "./dom.js";
import { clock, words } from "./format.js";
import type { StackEvent } from "./types.js";

const KEPT = 200;

const TONE: Record<EventSeverity, string> = { error: "bad", warning: "wait", success: "good", info: "off" };
/** Events that are announced to screen readers. Errors are always announced. */
const ANNOUNCED = new Set<string>(["service_unhealthy", "stack_started", "stack_stopped", "service_healthy"]);

export interface EventsPanel {
  element: HTMLElement;
  add(events: readonly StackEvent[]): void;
  clear(): void;
}

export function createEventsPanel(announce: (text: string) => void): EventsPanel {
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
      const newest = events.filter(({ type }) => EVENTS[type] === "error" || ANNOUNCED.has(type)).at(-1);
      if (!first && newest !== undefined) announce(newest.message);
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
  return h(
    "li",
    { "data-tone": TONE[EVENTS[type]] ?? "off", "data-type": type },
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
