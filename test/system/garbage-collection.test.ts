/** What garbage collections free and keep. */
import { Worker } from "node:worker_threads";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { collectGarbage, MemoryRelease } from "../../src/system/release-memory.js";
import { timeoutSignal } from "../../src/system/wait.js";

const MIB = 1024 * 1024;

describe("memory after large amounts of data", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it("memory is released once when no data has passed for 3 s", () => {
    const release = vi.fn();
    const memory = new MemoryRelease(release);
    memory.passed(20 * MIB);
    vi.advanceTimersByTime(2000);
    memory.passed(1);
    vi.advanceTimersByTime(2000);
    expect(release).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1000);
    expect(release).toHaveBeenCalledTimes(1);
    vi.advanceTimersByTime(60_000);
    expect(release).toHaveBeenCalledTimes(1);
  });

  it("repeated collections free memory while a worker thread runs", async () => {
    vi.useRealTimers();
    const worker = new Worker("setInterval(() => undefined, 1000)", { eval: true });
    const reference = (() => new WeakRef({ text: "x".repeat(MIB) }))();
    for (let at = 0; at < 5; at += 1) await collectGarbage();
    expect(reference.deref()).toBeUndefined();
    await worker.terminate();
  });

  it("memory is not released after 1 MiB of data", () => {
    const release = vi.fn();
    new MemoryRelease(release).passed(MIB);
    vi.advanceTimersByTime(60_000);
    expect(release).not.toHaveBeenCalled();
  });
});

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
