/**
 * Runs a check that always ends: with its result, at its time limit, or when the caller aborts. A failing check is a
 * result, not an error.
 */
import type { ProbeResult } from "../../../stack/runtime.js";
import { CheckProgramMissing, ServiceStarting } from "./command-verdict.js";

/** One kind of check: returns its observation, and throws when the service is not healthy. */
export type Check = (signal: AbortSignal) => Promise<string>;

/** One line of text for any thrown value; connection errors for several addresses contain their cause. */
export function failureText(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const first = error instanceof AggregateError && error.errors[0] instanceof Error ? error.errors[0] : error;
  const code = (first as NodeJS.ErrnoException).code;
  if (code === "ECONNREFUSED") return "connection refused: nothing listens there";
  if (code === "ECONNRESET") return "connection reset by the service";
  return (first.message || code || first.name).replace(/\n.*/s, "");
}

export async function bounded(check: string, timeoutMs: number, caller: AbortSignal, run: Check): Promise<ProbeResult> {
  const started = performance.now();
  const controller = new AbortController();
  const result = (healthy: boolean, message: string): ProbeResult => ({
    healthy,
    message,
    latencyMs: Math.round((performance.now() - started) * 10) / 10,
    check,
  });
  return new Promise<ProbeResult>((resolve) => {
    const finish = (answer: ProbeResult) => {
      clearTimeout(timer);
      caller.removeEventListener("abort", cancelled);
      resolve(answer);
      controller.abort();
    };
    const cancelled = () => finish(result(false, "the check was cancelled"));
    const timer = setTimeout(() => finish(result(false, `no answer within ${timeoutMs} ms`)), timeoutMs);
    if (caller.aborted) return cancelled();
    caller.addEventListener("abort", cancelled, { once: true });
    run(controller.signal).then(
      (message) => finish(result(true, message)),
      (error: unknown) =>
        finish({
          ...result(false, failureText(error)),
          ...(error instanceof CheckProgramMissing ? { programMissing: true as const } : {}),
          ...(error instanceof ServiceStarting ? { starting: true as const } : {}),
        }),
    );
  });
}
