/**
 * One piece of work that several callers wait for. A call repeated after a client's time-out joins it instead of
 * starting a second one. The work is cancelled only when all waiting callers have cancelled.
 */

import { StackwardenError } from "../../errors.js";
import { callTo, type Hint, hint } from "../../hint.js";
import type { CallContext, Progress } from "../model.js";

export type Joined<T> = { done: true; value: T } | { done: false };

export interface SingleFlightOptions {
  /** False: the work continues even when all callers cancel. */
  cancellable: boolean;
  /** Names the work in the error for a caller that cancelled, for example `start of shop`. */
  what: string;
}

const cancelled = (message: string, next: string | Hint): StackwardenError =>
  new StackwardenError("OPERATION_CANCELLED", message, { hint: next });

export class SingleFlight<T> {
  readonly settled: Promise<void>;
  readonly #result: Promise<T>;
  readonly #abort = new AbortController();
  readonly #listeners = new Set<(progress: Progress) => void>();
  #waiting = 0;
  /** True when a caller timed out and was informed that the work continues. */
  #detached = false;

  constructor(
    task: (signal: AbortSignal, report: (progress: Progress) => void) => Promise<T>,
    private readonly options: SingleFlightOptions,
  ) {
    this.#result = task(this.#abort.signal, (progress) => {
      for (const listener of this.#listeners) listener(progress);
    });
    this.settled = this.#result.then(
      () => undefined,
      () => undefined,
    );
  }

  /** True from a cancellation on: a call that joins would fail, although it was not cancelled. */
  get cancelled(): boolean {
    return this.#abort.signal.aborted;
  }

  /** Cancels the work for all callers. */
  cancel(reason: unknown): void {
    this.#abort.abort(reason);
  }

  /**
   * Waits for the result, at most until `until` settles or `timeoutMs` have passed. After that, the work continues
   * without this caller.
   * @throws the errors of the work; OPERATION_CANCELLED when the caller's signal aborts
   */
  async join(
    call: Pick<CallContext, "signal" | "progress">,
    { timeoutMs, until }: { timeoutMs?: number; until?: Promise<unknown> } = {},
  ): Promise<Joined<T>> {
    const listener = (progress: Progress): void => call.progress(progress);
    this.#listeners.add(listener);
    this.#waiting += 1;
    let timer: NodeJS.Timeout | undefined;
    let abort: (() => void) | undefined;
    try {
      const outcome = await Promise.race<Joined<T> | "left" | "aborted">([
        this.#result.then((value) => ({ done: true as const, value })),
        ...(timeoutMs === undefined
          ? []
          : [new Promise<"left">((resolve) => (timer = setTimeout(() => resolve("left"), timeoutMs)))]),
        ...(until === undefined ? [] : [until.then(() => "left" as const)]),
        new Promise<"aborted">((resolve) => {
          abort = () => resolve("aborted");
          call.signal.addEventListener("abort", abort, { once: true });
          if (call.signal.aborted) abort();
        }),
      ]);
      if (outcome === "left") {
        this.#detached = true;
        return { done: false };
      }
      if (outcome !== "aborted") return outcome;
    } finally {
      clearTimeout(timer);
      if (abort !== undefined) call.signal.removeEventListener("abort", abort);
      this.#listeners.delete(listener);
      this.#waiting -= 1;
    }
    const { what, cancellable } = this.options;
    if (!cancellable || this.#detached || this.#waiting > 0)
      throw cancelled(
        `The call was cancelled; the ${what} continues.`,
        hint`Check how it ends with ${callTo("health_status")}.`,
      );
    this.cancel(cancelled(`The ${what} was cancelled.`, "Its changes were rolled back. Call again to retry."));
    // A result that arrived before the cancellation is returned.
    return { done: true, value: await this.#result };
  }
}
