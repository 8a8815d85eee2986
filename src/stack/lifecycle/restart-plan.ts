/** The restart that a service's policy asks for: when it comes, and the events that announce it. */
import type { RestartPolicy } from "../definition/types.js";
import type { EventInput } from "../storage/events.js";
import { type Backoff, nextDelay } from "./restart-policy.js";

export class RestartPlan {
  readonly #backoff: Backoff = { failures: 0 };
  #timer: NodeJS.Timeout | undefined;
  /** True while a restart is planned and has not begun. */
  pending = false;

  /** @param event receives every plan, and giving up */
  constructor(private readonly event: (input: Omit<EventInput, "service">) => void) {}

  /**
   * Plans the next start, or gives up as the policy says.
   * @param livedMs how long the instance ran that ended
   * @returns reports what was decided, as an event
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

  cancel(): void {
    clearTimeout(this.#timer);
    this.pending = false;
  }

  /** As `cancel`; the back-off begins anew. */
  reset(): void {
    this.cancel();
    this.#backoff.failures = 0;
  }
}
