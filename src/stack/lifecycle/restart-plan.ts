/** Schedules restarts by a service's restart policy, and emits their events. */
import type { RestartPolicy } from "../definition/types.js";
import type { EventInput } from "../storage/events.js";
import { type Backoff, nextDelay } from "./restart-policy.js";

export class RestartPlan {
  readonly #backoff: Backoff = { failures: 0 };
  #timer: NodeJS.Timeout | undefined;
  /** True while a restart is planned and has not begun. */
  pending = false;

  /** @param event receives an event for every scheduled restart and for giving up */
  constructor(private readonly event: (input: Omit<EventInput, "service">) => void) {}

  /**
   * Schedules the next start, or gives up according to the policy.
   * @param livedMs milliseconds for which the ended instance ran
   * @returns a function that emits the decision as an event
   */
  schedule(name: string, policy: RestartPolicy, livedMs: number, start: () => void): () => void {
    const delay = nextDelay(policy, this.#backoff, livedMs);
    if (delay === null)
      return () =>
        this.event({
          type: "restart_given_up",
          message: `${name} is not started again: ${policy.maxRetries} restarts did not help.`,
        });
    this.pending = true;
    this.#timer = setTimeout(start, delay);
    return () =>
      this.event({
        type: "restart_scheduled",
        message: `${name} starts again in ${delay} ms.`,
        data: { delay_ms: delay },
      });
  }

  /** Schedules a cancelled restart again, with the same delay. */
  repeat(name: string, policy: RestartPolicy, start: () => void): () => void {
    this.#backoff.failures = Math.max(0, this.#backoff.failures - 1);
    return this.schedule(name, policy, 0, start);
  }

  cancel(): void {
    clearTimeout(this.#timer);
    this.pending = false;
  }

  /** Cancels like `cancel`, and resets the back-off. */
  reset(): void {
    this.cancel();
    this.#backoff.failures = 0;
  }
}
