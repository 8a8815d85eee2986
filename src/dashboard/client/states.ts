/** How states look and read: a sign, a tone and a word, never colour alone. */
import { h, setText } from "./dom.js";
import type { ServiceState, StackState } from "./types.js";

type Tone = "good" | "wait" | "bad" | "off";
type Shown = [tone: Tone, sign: string, word: string];

const STATES: Record<ServiceState | StackState, Shown> = {
  running: ["good", "●", "Running"],
  healthy: ["good", "●", "Healthy"],
  completed: ["good", "✓", "Completed"],
  pending: ["wait", "◌", "Waiting"],
  starting: ["wait", "◐", "Starting"],
  stopping: ["wait", "◑", "Stopping"],
  degraded: ["bad", "▲", "Degraded"],
  unhealthy: ["bad", "▲", "Unhealthy"],
  crashed: ["bad", "✕", "Crashed"],
  lost: ["bad", "✕", "Lost"],
  stopped: ["off", "○", "Stopped"],
};

export interface Badge {
  element: HTMLElement;
  update(state: ServiceState | StackState): void;
}

export function createBadge(): Badge {
  const sign = h("span", { "aria-hidden": "true" });
  const word = h("span");
  const element = h("span", { class: "badge" }, sign, word);
  return {
    element,
    update: (state) => {
      const [tone, symbol, text] = STATES[state] ?? ["off", "?", state];
      setText(sign, symbol);
      setText(word, text);
      element.dataset.tone = tone;
    },
  };
}

export const toneOf = (state: ServiceState | StackState): Tone => STATES[state]?.[0] ?? "off";
