/** The back-off of automatic restarts, and the budget of explicit restarts. */
import type { RestartPolicy } from "../definition/types.js";
import type { ServiceExit } from "../runtime.js";

const FIRST_DELAY_MS = 500;
const LONGEST_DELAY_MS = 30_000;
/** An instance that ran for this long resets the back-off. */
const SETTLED_MS = 60_000;

export interface Backoff {
  /** Consecutive restarts whose instance ran for less than SETTLED_MS. */
  failures: number;
}

/** True when Compose's `restart` policy requires a restart after this exit. */
export function wantsRestart(policy: RestartPolicy, exit: ServiceExit): boolean {
  if (policy.policy === "always" || policy.policy === "unless-stopped") return true;
  return policy.policy === "on-failure" && (exit.exitCode !== 0 || exit.signal !== null || exit.oomKilled);
}

/**
 * Counts this exit and returns the delay before the restart in milliseconds: 500, doubled for each consecutive failure,
 * at most 30,000. Returns null when the retries of `on-failure:<n>` are used up.
 */
export function nextDelay(policy: RestartPolicy, backoff: Backoff, livedMs: number): number | null {
  if (livedMs >= SETTLED_MS) backoff.failures = 0;
  backoff.failures += 1;
  if (policy.maxRetries !== undefined && backoff.failures > policy.maxRetries) return null;
  return Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** (backoff.failures - 1));
}

const WINDOW_MS = 5 * 60_000;

/**
 * Limits unsuccessful restarts by callers within five minutes, so that an agent looks for the cause instead of
 * restarting again.
 */
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

  /** @returns a function that refunds this restart, for a restart that brought the service up */
  spend(now: number): () => void {
    this.#times.push(now);
    return () => {
      const index = this.#times.indexOf(now);
      if (index >= 0) this.#times.splice(index, 1);
    };
  }
}
