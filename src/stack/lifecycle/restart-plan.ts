/** The restart that a service's policy asks for: when it comes, and that it is told. */
import type { RestartPolicy } from "../definition/types.js";
import type { EventInput } from "../storage/events.js";
import { type Backoff, nextDelay } from "./restart-policy.js";

export class RestartPlan {
  readonly #backoff: Backoff = { failures: 0 };
  #timer: NodeJS.Timeout | undefined;
  /** True until it was cancelled or its start was begun by somebody. */
  pending = false;

  /** @param event told of every plan and of giving up */
  constructor(private readonly event: (input: Omit<EventInput, "service">) => void) {}

  /**
   * Plans the next start, or gives up as the policy says.
   * @param livedMs how long the instance ran that ended
   */
  schedule(name: string, policy: RestartPolicy, livedMs: number, start: () => void): void {
    const delay = nextDelay(policy, this.#backoff, livedMs);
    if (delay === null) {
      this.event({
        type: "restart_given_up",
        message: `${name} is not started again: ${policy.maxRetries} restarts did not help.`,
      });
      return;
    }
    this.event({
      type: "restart_scheduled",
      message: `${name} starts again in ${delay} ms.`,
      data: { delay_ms: delay },
    });
    this.pending = true;
    this.#timer = setTimeout(start, delay);
  }

  cancel(): void {
    clearTimeout(this.#timer);
    this.pending = false;
  }
}
