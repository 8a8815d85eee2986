/** The list of projects and the selected one. */
import { h, setAttribute, setText } from "./dom.js";
import { isUp, toneOf } from "./states.js";
import type { StackReport } from "./types.js";

const SIGNS = { good: "●", wait: "◐", bad: "▲", off: "○" } as const;

export interface ProjectList {
  element: HTMLElement;
  update(stacks: readonly StackReport[], chosen: string | null): void;
}

export function createProjectList(choose: (project: string) => void): ProjectList {
  const list = h("ul");
  const element = h("nav", { "aria-label": "Projects" }, h("h2", {}, "Projects"), list);
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
      stacks.forEach(({ project, state, services }, index) => {
        const one = items.get(project) ?? item(project);
        items.set(project, one);
        if (list.children[index] !== one.element) list.insertBefore(one.element, list.children[index] ?? null);
        const all = Object.values(services);
        const well = all.filter((service) => isUp(service.state)).length;
        const tone = toneOf(state);
        setText(one.sign, SIGNS[tone]);
        setText(one.description, state === "stopped" ? "stopped" : `${well} of ${all.length} well`);
        one.button.dataset.tone = tone;
        setAttribute(one.button, "aria-current", project === chosen ? "true" : null);
      });
    },
  };
}
