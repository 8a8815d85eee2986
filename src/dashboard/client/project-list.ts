/** The list of projects and the selected one. */
import { h, setAttribute, setText } from "./dom.js";
import { plural } from "./format.js";
import { isUp, toneOf } from "./states.js";
import type { StackReport } from "./types.js";

const SIGNS = { good: "●", wait: "◐", bad: "▲", off: "○" } as const;

/** Beyond this number, stopped projects are folded away. */
const MAX_STOPPED = 5;

export interface ProjectList {
  element: HTMLElement;
  update(stacks: readonly StackReport[], chosen: string | null): void;
}

export function createProjectList(choose: (project: string) => void): ProjectList {
  const list = h("ul");
  const stoppedList = h("ul", { class: "folded-list" });
  const summary = h("summary");
  const folded = h("details", { class: "folded", hidden: true }, summary, stoppedList);
  const element = h("nav", { "aria-label": "Projects" }, h("h2", {}, "Projects"), list, folded);
  const items = new Map<string, { element: HTMLElement; button: HTMLElement; sign: Element; description: Element }>();
  const item = (project: string) => {
    const sign = h("span", { class: "sign", "aria-hidden": "true" });
    const description = h("span", { class: "hint" });
    const button = h(
      "button",
      { type: "button", click: () => choose(project) },
      sign,
      h("span", { class: "name" }, project),
      description,
    );
    return { element: h("li", {}, button), button, sign, description };
  };
  return {
    element,
    update: (stacks, chosen) => {
      for (const [project, { element: old }] of items) {
        if (stacks.some((stack) => stack.project === project)) continue;
        old.remove();
        items.delete(project);
      }
      const isFolded = ({ project, state }: StackReport): boolean => state === "stopped" && project !== chosen;
      const fold = stacks.filter(isFolded).length > MAX_STOPPED;
      folded.hidden = !fold;
      setText(summary, `${stacks.filter(isFolded).length} stopped`);
      const next = new Map([list, stoppedList].map((parent) => [parent, 0]));
      for (const stack of stacks) {
        const { project, state } = stack;
        const one = items.get(project) ?? item(project);
        items.set(project, one);
        const parent = fold && isFolded(stack) ? stoppedList : list;
        const index = next.get(parent) ?? 0;
        next.set(parent, index + 1);
        if (parent.children[index] !== one.element) parent.insertBefore(one.element, parent.children[index] ?? null);
        const tone = toneOf(state);
        setText(one.sign, SIGNS[tone]);
        setText(one.description, describe(stack));
        one.button.dataset.tone = tone;
        setAttribute(one.button, "aria-current", project === chosen ? "true" : null);
      }
    },
  };
}

function describe({ state, services, folder_missing }: StackReport): string {
  if (state === "stopped") return folder_missing === true ? "folder is gone" : "stopped";
  const all = Object.values(services);
  const up = all.filter((service) => isUp(service.state)).length;
  return up === all.length ? `${plural(up, "service")} up` : `${up} of ${all.length} services up`;
}
