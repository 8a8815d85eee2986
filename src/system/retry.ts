/** Retries operations that fail temporarily: networks, registries, an engine that is not up yet. */
import { setTimeout as sleep } from "node:timers/promises";
import { StackwardenError } from "../errors.js";

export interface RetryOptions {
  /** Further tries after the first. Default 3. */
  maxRetries?: number;
  /** Milliseconds before the first retry; doubled for each further one. Default 1,000. */
  baseDelayMs?: number;
  /** Longest wait in milliseconds. Default 30,000. */
  maxDelayMs?: number;
  /** Waits a random part (at least half) of each delay, so that many clients do not come back at once. Default false. */
  jitter?: boolean;
  signal?: AbortSignal;
  /** Whether another try can help. Default `isTransient`. */
  classify?: (error: unknown) => boolean;
  /** Called before each wait. `attempt` counts the tries that failed, from 1. */
  onRetry?: (retry: Retry) => void;
}

export interface Retry {
  attempt: number;
  delayMs: number;
  error: unknown;
}

/**
 * Describes a retry for events and logs.
 * @param failure for example `Pulling nginx failed`
 * @param reason absent: the failure says enough
 */
export const retryMessage = (failure: string, { attempt, delayMs }: Retry, reason?: string): string =>
  `${failure} (attempt ${attempt}); retrying in ${delayMs} ms${reason === undefined ? "." : `: ${reason}`}`;

const NETWORK = new Set([
  "ECONNREFUSED",
  "ECONNRESET",
  "ECONNABORTED",
  "EPIPE",
  "ETIMEDOUT",
  "EAI_AGAIN",
  "ENETUNREACH",
  "EHOSTUNREACH",
  "ENETDOWN",
  "UND_ERR_CONNECT_TIMEOUT",
  "UND_ERR_HEADERS_TIMEOUT",
  "UND_ERR_SOCKET",
]);
const TRANSIENT_STATUS = new Set([408, 425, 429, 500, 502, 503, 504]);

/** Network faults, time-outs, 429 and 5xx, and our own errors that say so; never bad input or a service's own crash. */
export function isTransient(error: unknown): boolean {
  for (let at: unknown = error, depth = 0; at instanceof Error && depth < 8; at = at.cause, depth += 1) {
    if (at instanceof StackwardenError) {
      if (at.code === "RUNTIME_UNAVAILABLE") return true;
      if (at.kind.fixedBy !== "us") return false;
    }
    if (at.name === "AbortError") return false;
    if (at.name === "TimeoutError") return true;
    const { code, status, statusCode } = at as { code?: unknown; status?: unknown; statusCode?: unknown };
    if (typeof code === "string" && NETWORK.has(code)) return true;
    if (TRANSIENT_STATUS.has(Number(status ?? statusCode))) return true;
  }
  return false;
}

/**
 * Calls `fn` until it succeeds: waits 1, 2, 4 s by default.
 * @throws the last error, unchanged; the signal's reason when aborted
 */
export async function withRetry<T>(fn: (attempt: number) => Promise<T>, options: RetryOptions = {}): Promise<T> {
  const { maxRetries = 3, baseDelayMs = 1000, maxDelayMs = 30_000, classify = isTransient, signal } = options;
  for (let attempt = 1; ; attempt += 1) {
    signal?.throwIfAborted();
    try {
      return await fn(attempt);
    } catch (error) {
      if (attempt > maxRetries || signal?.aborted || !classify(error)) throw error;
      const whole = Math.min(maxDelayMs, baseDelayMs * 2 ** (attempt - 1));
      const delayMs = options.jitter ? Math.round(whole * (0.5 + Math.random() / 2)) : whole;
      options.onRetry?.({ attempt, delayMs, error });
      await sleep(delayMs, undefined, signal ? { signal } : {});
    }
  }
}
