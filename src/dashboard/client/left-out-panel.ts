/** Services of the compose file that the running stack leaves out, each with a button that starts it. */
import { h } from "./dom.js";
import type { DataSource } from "./source.js";
import type { StackReport } from "./types.js";

export interface LeftOutPanel {
  element: HTMLElement;
  clear(): void;
  /** Reads the compose file again when the stack's services changed. */
  refresh(source: DataSource, stack: StackReport, signal: AbortSignal): Promise<void>;
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
  let known = "";
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
  const clear = (): void => {
    known = "";
    show([]);
  };
  return {
    element,
    clear,
    refresh: async (source, { project, services, state }, signal) => {
      const running = Object.keys(services);
      if (running.length === 0 || state === "stopped" || state === "lost") return clear();
      const key = `${project} ${running.join()}`;
      if (key === known) return;
      known = key;
      // A compose file that is invalid now does not affect the running stack: there is nothing to offer.
      const check = await source.call("check_stack", { project }, signal).catch(() => null);
      show(check?.services.map(({ service }) => service).filter((name) => !running.includes(name)) ?? []);
    },
    update: ({ mayChange, isBusy }) => {
      for (const [name, button] of buttons) button.disabled = !mayChange || isBusy(name);
    },
  };
}
