/** The saved data of a project's volumes: a list, and the actions on it. */
import { h, setText } from "./dom.js";
import { amount, moment } from "./format.js";
import type { DataSource } from "./source.js";
import type { Snapshot, StackReport } from "./types.js";

const BYTES_PER_MB = 1_048_576;
/** Longest time before the list is requested again while no event reports a change. */
const AGAIN_MS = 30_000;

export interface SnapshotActions {
  save(): void;
  restore(snapshot: Snapshot): void;
  remove(snapshot: Snapshot): void;
}

export interface SnapshotsPanel {
  element: HTMLElement;
  clear(): void;
  /** The list may have changed. */
  expire(): void;
  /** @param volumes the project's named volumes; null when they are unknown */
  refresh(
    source: DataSource,
    stack: StackReport,
    volumes: readonly string[] | null,
    signal: AbortSignal,
  ): Promise<void>;
  update(view: { mayChange: boolean; busy: string | null }): void;
}

export const sizeOf = ({ bytes }: Snapshot): string => `${amount(bytes / BYTES_PER_MB)} MB`;

export function createSnapshotsPanel(actions: SnapshotActions): SnapshotsPanel {
  const save = h("button", { type: "button", click: () => actions.save() }, "Save snapshot");
  const busy = h("span", { class: "busy" });
  const none = h("p", { class: "hint" }, "None yet. A snapshot keeps the data of the project's named volumes.");
  const list = h("ul", { class: "snapshots" });
  const element = h(
    "section",
    { class: "panel", "aria-label": "Snapshots", hidden: true },
    h("div", { class: "row between" }, h("h2", {}, "Snapshots"), h("div", { class: "row" }, busy, save)),
    none,
    list,
  );
  let requested = "";
  let requestedAt = 0;
  let shown = "";
  const show = (snapshots: readonly Snapshot[]): void => {
    const key = JSON.stringify(snapshots);
    if (key === shown) return;
    shown = key;
    none.hidden = snapshots.length > 0;
    list.replaceChildren(...[...snapshots].reverse().map(entry));
  };
  const entry = (snapshot: Snapshot): HTMLElement => {
    const { name, created_at: time, volumes, automatic } = snapshot;
    const button = (text: string, act: () => void) =>
      h("button", { type: "button", click: act }, text, h("span", { class: "unseen" }, ` ${name}`));
    return h(
      "li",
      { class: "row between" },
      h(
        "div",
        {},
        h("p", { class: "name" }, name, automatic && h("span", { class: "tag" }, "automatic")),
        h(
          "p",
          { class: "hint" },
          h("time", { datetime: time }, moment(time)),
          ` · ${[sizeOf(snapshot), Object.keys(volumes).join(", ")].filter((part) => part !== "").join(" · ")}`,
        ),
      ),
      h(
        "div",
        { class: "row" },
        button("Restore", () => actions.restore(snapshot)),
        button("Delete", () => actions.remove(snapshot)),
      ),
    );
  };
  return {
    element,
    clear: () => {
      requested = "";
      element.hidden = true;
      show([]);
    },
    expire: () => {
      requested = "";
    },
    refresh: async (source, { project }, volumes, signal) => {
      if (project !== requested || Date.now() - requestedAt > AGAIN_MS) {
        const { snapshots } = await source.call("list_snapshots", { project }, signal);
        if (signal.aborted) return;
        requested = project;
        requestedAt = Date.now();
        show(snapshots);
      }
      // A project without volumes has nothing to save.
      element.hidden = volumes?.length === 0 && list.childElementCount === 0;
      save.hidden = volumes?.length === 0;
    },
    update: ({ mayChange, busy: doing }) => {
      setText(busy, doing ?? "");
      for (const button of element.querySelectorAll("button")) button.disabled = !mayChange || doing !== null;
    },
  };
}
