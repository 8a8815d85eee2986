/** Appearance of each state: a symbol, a tone and a label, so that no state depends on colour alone. */
import { h, setText } from "./dom.js";
import type { ServiceState, StackState } from "./types.js";

type Tone = "good" | "wait" | "bad" | "off";
type Shown = [tone: Tone, sign: string, word: string];

/** A service without a health check is `running`. It is not shown in the green of a healthy one. */
const UNCHECKED: Shown = ["off", "●", "Running, unchecked"];

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

const appearance = (state: ServiceState | StackState, of: "service" | "stack"): Shown =>
  of === "service" && state === "running" ? UNCHECKED : (STATES[state] ?? ["off", "?", state]);

export function createBadge(of: "service" | "stack"): Badge {
  const sign = h("span", { "aria-hidden": "true" });
  const word = h("span");
  const element = h("span", { class: "badge" }, sign, word);
  return {
    element,
    update: (state) => {
      const [tone, symbol, text] = appearance(state, of);
      setText(sign, symbol);
      setText(word, text);
      element.dataset.tone = tone;
    },
  };
}

export const signOf = (state: ServiceState): string => appearance(state, "service")[1];
export const toneOf = (state: StackState): Tone => appearance(state, "stack")[0];
export const toneOfService = (state: ServiceState): Tone => appearance(state, "service")[0];
/** True for the normal states: healthy, completed, or running without a check. */
export const isUp = (state: ServiceState): boolean => state === "running" || toneOfService(state) === "good";
