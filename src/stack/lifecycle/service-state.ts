/** A service's state: valid transitions, the standing of each state, and waiting for a state. */

import { StackwardenError } from "../../errors.js";
import { waitUntil } from "../../system/wait.js";
import type { ServiceState } from "../model.js";

/**
 * `up`: in the desired state. `coming`: on the way to `up`. `failing`: should be up but is not. `down`: stopped or
 * being stopped.
 */
export type Standing = "up" | "coming" | "failing" | "down";

export const STANDING: Readonly<Record<ServiceState, Standing>> = {
  pending: "coming",
  starting: "coming",
  running: "up",
  healthy: "up",
  completed: "up",
  unhealthy: "failing",
  crashed: "failing",
  lost: "failing",
  stopping: "down",
  stopped: "down",
};

/** States to which a running instance can change at any time. */
const ENDS: readonly ServiceState[] = ["completed", "crashed", "stopping", "lost"];
/** States without an instance: only a start or a stop changes them. */
const IDLE: readonly ServiceState[] = ["pending", "starting", "stopped", "lost"];

export const TRANSITIONS: Readonly<Record<ServiceState, readonly ServiceState[]>> = {
  pending: IDLE,
  starting: ["running", "healthy", "unhealthy", ...ENDS],
  running: ENDS,
  healthy: ["unhealthy", ...ENDS],
  unhealthy: ["healthy", ...ENDS],
  stopping: ["stopped", "lost"],
  // The rollback of a change returns a service to its earlier result.
  stopped: [...IDLE, "completed", "crashed"],
  completed: IDLE,
  crashed: IDLE,
  lost: IDLE,
};

export const mayFollow = (from: ServiceState, to: ServiceState): boolean =>
  from === to || TRANSITIONS[from].includes(to);

export class WatchedState {
  #current: ServiceState = "pending";
  readonly #watchers = new Set<() => void>();

  /** @param changed called after every change, after waiting calls have resumed */
  constructor(private readonly changed: () => void) {}

  get current(): ServiceState {
    return this.#current;
  }

  /** @throws INTERNAL for a state that cannot follow the current one */
  to(state: ServiceState): void {
    if (!mayFollow(this.#current, state))
      throw new StackwardenError("INTERNAL", `A service cannot become ${state} after ${this.#current}.`);
    this.#current = state;
    this.evaluate();
    this.changed();
  }

  /** Evaluates the conditions of waiting calls again, for a change that is not a change of the state. */
  evaluate(): void {
    for (const evaluate of [...this.#watchers]) evaluate();
  }

  /** Resolves when the condition holds; evaluated now and after every change. */
  async until(condition: () => boolean, signal: AbortSignal): Promise<void> {
    const subscribe = (notify: () => void) => {
      this.#watchers.add(notify);
      return () => this.#watchers.delete(notify);
    };
    if ((await waitUntil({ check: condition, subscribe, signal })) === "aborted") throw signal.reason;
  }
}
