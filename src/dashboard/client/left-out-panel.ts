/** Services of the compose file that the running stack leaves out, each with a button that starts it. */
import { h } from "./dom.js";
import type { StackCheck, StackReport } from "./types.js";

export interface LeftOutPanel {
  element: HTMLElement;
  clear(): void;
  /** @param check null when the compose file cannot be used: there is nothing to offer */
  offer(stack: StackReport, check: StackCheck | null): void;
  update(view: { mayChange: boolean; isBusy(service: string): boolean }): void;
}

export function createLeftOutPanel(start: (service: string) => void): LeftOutPanel {
  const list = h("ul");
  const element = h(
    "section",
    { class: "left-out", "aria-label": "Services that do not run", hidden: true },
    h("span", { class: "hint" }, "Not started:"),
    list,
  );
  const buttons = new Map<string, HTMLButtonElement>();
  let shown = "";
  const show = (names: readonly string[]): void => {
    buttons.clear();
    element.hidden = names.length === 0;
    list.replaceChildren(
      ...names.map((name) => {
        const label = h("span", { class: "unseen" }, ` ${name}`);
        const button = h("button", { type: "button", click: () => start(name) }, "Start", label);
        buttons.set(name, button);
        return h("li", {}, name, button);
      }),
    );
  };
  return {
    element,
    clear: () => {
      shown = "";
      show([]);
    },
    offer: ({ services, state }, check) => {
      const running = Object.keys(services);
      const isOpen = running.length > 0 && state !== "stopped" && state !== "lost";
      const all = isOpen ? [...(check?.services ?? []).map(({ service }) => service), ...(check?.left_out ?? [])] : [];
      const names = all.filter((name) => !running.includes(name));
      if (names.join() === shown) return;
      shown = names.join();
      show(names);
    },
    update: ({ mayChange, isBusy }) => {
      for (const [name, button] of buttons) button.disabled = !mayChange || isBusy(name);
    },
  };
}
