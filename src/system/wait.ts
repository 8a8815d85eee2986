/** Waits that end at a deadline or by a signal. Each of them removes its timer and its listeners when it ends. */

const LONGEST_TIMER_MS = 2 ** 31 - 1;

/**
 * A signal that aborts after `ms` milliseconds with a TimeoutError, and does not keep the process running. It takes the
 * place of `AbortSignal.timeout`: `AbortSignal.any` holds its sources weakly, and Node.js 20 then collects a time-out
 * that nothing else holds, so that it never fires.
 */
export function timeoutSignal(ms: number): AbortSignal {
  const controller = new AbortController();
  const abort = (): void => controller.abort(new DOMException("The operation timed out.", "TimeoutError"));
  setTimeout(abort, Math.min(ms, LONGEST_TIMER_MS)).unref();
  return controller.signal;
}

export interface WaitOptions {
  /** Evaluated now and after each notification. */
  check(): boolean;
  /** @returns a function that ends the subscription */
  subscribe(notify: () => void): () => void;
  /** Default: no deadline. */
  timeoutMs?: number | undefined;
  signal?: AbortSignal | undefined;
}

/** Waits until `check` returns true. */
export function waitUntil({
  check,
  subscribe,
  timeoutMs,
  signal,
}: WaitOptions): Promise<"met" | "timeout" | "aborted"> {
  if (signal?.aborted) return Promise.resolve("aborted");
  if (check()) return Promise.resolve("met");
  return new Promise((resolve) => {
    let timer: NodeJS.Timeout | undefined;
    const end = (outcome: "met" | "timeout" | "aborted"): void => {
      clearTimeout(timer);
      unsubscribe();
      signal?.removeEventListener("abort", abort);
      resolve(outcome);
    };
    const abort = (): void => end("aborted");
    const unsubscribe = subscribe(() => {
      if (check()) end("met");
    });
    signal?.addEventListener("abort", abort, { once: true });
    if (timeoutMs !== undefined) timer = setTimeout(() => end("timeout"), Math.min(timeoutMs, LONGEST_TIMER_MS));
  });
}

/** Waits for `ms` milliseconds or until the signal aborts. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await waitUntil({ check: () => false, subscribe: () => () => undefined, timeoutMs: ms, signal });
}

/**
 * Waits for a promise until the signal aborts. The operation behind the promise continues.
 * @throws the signal's reason
 */
export async function raceAbort<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  promise.catch(() => undefined);
  let leave = (): void => {};
  const left = new Promise<never>((_resolve, reject) => {
    leave = () => reject(signal.reason);
    signal.addEventListener("abort", leave, { once: true });
    if (signal.aborted) leave();
  });
  return Promise.race([promise, left]).finally(() => signal.removeEventListener("abort", leave));
}

/** Waits for a promise. Returns null after `ms` milliseconds; the operation behind the promise continues. */
export async function withinOrNull<T>(promise: Promise<T>, ms: number): Promise<T | null> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<null>((resolve) => {
    timer = setTimeout(resolve, ms, null);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

export interface Deadline {
  /** Milliseconds. */
  ms: number;
  signal?: AbortSignal;
  /** Makes the error when the deadline passes. */
  late(): unknown;
}

/**
 * Waits for a promise. The operation behind the promise continues after the deadline.
 * @throws the error of `late`, or the signal's reason
 */
export async function within<T>(promise: Promise<T>, { ms, signal, late }: Deadline): Promise<T> {
  const value = promise.then((result) => ({ result }));
  const first = await withinOrNull(signal === undefined ? value : raceAbort(value, signal), ms);
  if (first !== null) return first.result;
  value.catch(() => undefined);
  throw late();
}
