/** When a service that ended by itself is started again, and how often people may ask for it. */
import type { RestartPolicy } from "../definition/types.js";
import type { ServiceExit } from "../runtime.js";

const FIRST_DELAY_MS = 500;
const LONGEST_DELAY_MS = 30_000;
/** An instance that lived so long starts the back-off anew. */
const SETTLED_MS = 60_000;

export interface Backoff {
  /** Consecutive restarts that did not settle. */
  failures: number;
}

/** Compose's `restart`: whether this end asks for another start. */
export function wantsRestart(policy: RestartPolicy, exit: ServiceExit): boolean {
  if (policy.policy === "always" || policy.policy === "unless-stopped") return true;
  return policy.policy === "on-failure" && (exit.exitCode !== 0 || exit.signal !== null || exit.oomKilled);
}

/**
 * Counts this end and tells how long to wait: 0.5 s, doubled for each further one, at most 30 s.
 * Null: `on-failure:<n>` is used up.
 */
export function nextDelay(policy: RestartPolicy, backoff: Backoff, livedMs: number): number | null {
  if (livedMs >= SETTLED_MS) backoff.failures = 0;
  backoff.failures += 1;
  if (policy.maxRetries !== undefined && backoff.failures > policy.maxRetries) return null;
  return Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** (backoff.failures - 1));
}

const WINDOW_MS = 5 * 60_000;

/** Restarts by callers that did not help: only so many in five minutes, so that an agent stops and looks for the cause. */
export class RestartBudget {
  #times: number[] = [];

  constructor(private readonly most: number) {}

  /** Milliseconds until the next restart is allowed; 0: now. */
  wait(now: number): number {
    this.#times = this.#times.filter((time) => now - time < WINDOW_MS);
    if (this.#times.length < this.most) return 0;
    const oldest = this.#times[this.#times.length - this.most] ?? now;
    return Math.max(1, oldest + WINDOW_MS - now);
  }

  /** @returns gives this restart back: it led to a service that is up */
  spend(now: number): () => void {
    this.#times.push(now);
    return () => {
      const index = this.#times.indexOf(now);
      if (index >= 0) this.#times.splice(index, 1);
    };
  }
}
