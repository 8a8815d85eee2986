import { describe, expect, it } from "vitest";
import { StackwardenError } from "../../src/errors.js";
import { isTransient, withRetry } from "../../src/system/retry.js";

const fault = (code: string) => Object.assign(new Error(code), { code });

describe("isTransient", () => {
  it.each([
    ["ECONNREFUSED", fault("ECONNREFUSED")],
    ["EAI_AGAIN", fault("EAI_AGAIN")],
    ["an error caused by ETIMEDOUT", new Error("outer", { cause: fault("ETIMEDOUT") })],
    ["status 429", Object.assign(new Error("x"), { status: 429 })],
    ["statusCode 503", Object.assign(new Error("x"), { statusCode: 503 })],
    ["a TimeoutError", Object.assign(new Error("x"), { name: "TimeoutError" })],
    ["RUNTIME_UNAVAILABLE", new StackwardenError("RUNTIME_UNAVAILABLE", "x")],
    ["INTERNAL caused by EPIPE", new StackwardenError("INTERNAL", "x", { cause: fault("EPIPE") })],
  ])("isTransient returns true for %s", (_what, error) => expect(isTransient(error)).toBe(true));

  it.each([
    ["an error without a code", new Error("manifest unknown")],
    ["ENOENT", fault("ENOENT")],
    ["status 404", Object.assign(new Error("x"), { status: 404 })],
    ["an AbortError", Object.assign(new Error("x"), { name: "AbortError", code: "ECONNRESET" })],
    ["INVALID_INPUT", new StackwardenError("INVALID_INPUT", "x")],
    [
      "SERVICE_START_FAILED caused by ECONNRESET",
      new StackwardenError("SERVICE_START_FAILED", "crashed", { cause: fault("ECONNRESET") }),
    ],
    ["a string", "ECONNREFUSED"],
    ["undefined", undefined],
  ])("isTransient returns false for %s", (_what, error) => expect(isTransient(error)).toBe(false));
});

describe("withRetry", () => {
  // Delays are observed through onRetry, with a base of one millisecond.
  const delays = async (options: Parameters<typeof withRetry>[1], failures: number) => {
    const seen: number[] = [];
    let tries = 0;
    const result = withRetry(
      async () => {
        tries += 1;
        if (tries <= failures) throw fault("ECONNRESET");
        return tries;
      },
      { baseDelayMs: 1, ...options, onRetry: ({ delayMs }) => seen.push(delayMs) },
    );
    return { result: await result.catch((error: Error) => error.message), seen };
  };

  it("delays double, and there are four attempts by default", async () => {
    expect(await delays({}, 3)).toEqual({ result: 4, seen: [1, 2, 4] });
    expect(await delays({}, 4)).toEqual({ result: "ECONNRESET", seen: [1, 2, 4] });
  });

  it("delays stay below the maximum, and jitter removes at most half of a delay", async () => {
    expect((await delays({ maxDelayMs: 3, maxRetries: 4 }, 4)).seen).toEqual([1, 2, 3, 3]);
    for (const [at, delay] of (await delays({ jitter: true, baseDelayMs: 10 }, 3)).seen.entries()) {
      expect(delay).toBeGreaterThanOrEqual(5 * 2 ** at);
      expect(delay).toBeLessThanOrEqual(10 * 2 ** at);
    }
  });

  it("an error that is not transient is not retried", async () => {
    let tries = 0;
    await expect(
      withRetry(async () => {
        tries += 1;
        throw new StackwardenError("INVALID_STACK", "no");
      }),
    ).rejects.toMatchObject({ code: "INVALID_STACK" });
    expect(tries).toBe(1);
  });

  it("an abort ends the delay, and an aborted signal prevents the first attempt", async () => {
    const stop = new AbortController();
    const waiting = withRetry(() => Promise.reject(fault("ECONNRESET")), {
      baseDelayMs: 60_000,
      maxDelayMs: 60_000,
      signal: stop.signal,
      onRetry: () => setImmediate(() => stop.abort()),
    });
    await expect(waiting).rejects.toMatchObject({ name: "AbortError" });
    let called = false;
    await expect(
      withRetry(
        async () => {
          called = true;
        },
        { signal: stop.signal },
      ),
    ).rejects.toMatchObject({ name: "AbortError" });
    expect(called).toBe(false);
  });

  it("the first delay is one second by default", async () => {
    const seen: number[] = [];
    const stop = new AbortController();
    const run = withRetry(() => Promise.reject(fault("ECONNRESET")), {
      signal: stop.signal,
      onRetry: ({ delayMs }) => {
        seen.push(delayMs);
        stop.abort();
      },
    });
    await expect(run).rejects.toMatchObject({ name: "AbortError" });
    expect(seen).toEqual([1000]);
  });
});
