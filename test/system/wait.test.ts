/** Signals of deadlines. */
import { describe, expect, it } from "vitest";
import { collectGarbage } from "../../src/system/release-memory.js";
import { timeoutSignal } from "../../src/system/wait.js";

describe("timeoutSignal", () => {
  it("timeoutSignal aborts a signal of AbortSignal.any that nothing else holds, also after a collection", async () => {
    const other = new AbortController();
    const reason = new Promise<unknown>((resolve) => {
      const either = AbortSignal.any([other.signal, timeoutSignal(300)]);
      either.addEventListener("abort", () => resolve(either.reason), { once: true });
    });
    for (let round = 0; round < 3; round += 1) await collectGarbage();
    expect(await reason).toMatchObject({ name: "TimeoutError" });
  });
});
