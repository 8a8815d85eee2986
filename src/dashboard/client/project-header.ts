/** Header of the selected project: its state, its runtime, and the actions on the whole stack. */
import { h, setText } from "./dom.js";
import { clock, duration } from "./format.js";
import { createBadge } from "./states.js";
import type { StackReport } from "./types.js";

export interface ProjectHeader {
  element: HTMLElement;
  update(stack: StackReport, view: { busy: string | null; mayChange: boolean; now: number }): void;
}

export function createProjectHeader(actions: { start(): void; stop(): void }): ProjectHeader {
  const name = h("h2", { class: "project-name" });
  const badge = createBadge("stack");
  const facts = h("p", { class: "facts" });
  const command = h("code");
  const gone = h(
    "p",
    { class: "gone", hidden: true },
    "The folder does not exist any more. This deletes what the project left: ",
    command,
  );
  const list = h("ul");
  const notes = h("details", {}, h("summary", {}, "Notes"), list);
  const start = h("button", { type: "button", class: "primary", click: actions.start }, "Start");
  const stop = h("button", { type: "button", click: actions.stop }, "Stop");
  const busy = h("span", { class: "busy" });
  return {
    element: h(
      "div",
      { class: "project" },
      h(
        "div",
        { class: "row between" },
        h("div", { class: "row" }, name, badge.element),
        h("div", { class: "row" }, busy, start, stop),
      ),
      facts,
      gone,
      notes,
    ),
    update: (stack, { busy: doing, mayChange, now }) => {
      setText(name, stack.project);
      badge.update(stack.state);
      const up = stack.started_at === null ? null : `up ${duration(now - Date.parse(stack.started_at))}`;
      const watched = stack.watching === undefined ? null : `watching the files of ${stack.watching.join(", ")}`;
      const ending = stack.idle_stop?.stops_at ?? null;
      const idle = ending === null ? null : `stops at ${clock(ending)} unless used`;
      setText(
        facts,
        [up, `runtime ${stack.runtime}`, stack.folder, watched, idle]
          .filter((part) => part !== null && part !== "")
          .join(" · "),
      );
      gone.hidden = stack.folder_missing !== true;
      setText(command, `stackwarden prune ${stack.project}`);
      if (list.dataset.rendered !== stack.notes.join("\n")) {
        list.dataset.rendered = stack.notes.join("\n");
        list.replaceChildren(...stack.notes.map((note) => h("li", {}, note)));
      }
      notes.hidden = stack.notes.length === 0;
      const ended = stack.state === "stopped" || stack.state === "lost";
      start.hidden = !ended;
      stop.hidden = ended;
      start.disabled = !mayChange || doing !== null || stack.folder_missing === true;
      stop.disabled = !mayChange || doing !== null || stack.state === "stopping";
      setText(busy, doing ?? "");
    },
  };
}
