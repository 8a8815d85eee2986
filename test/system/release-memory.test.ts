import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { MemoryRelease } from "../../src/system/release-memory.js";

const MIB = 1024 * 1024;

describe("memory after a flood", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it("is freed once, when no data has passed for 3 s", () => {
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

  it("is left alone after little data", () => {
    const release = vi.fn();
    new MemoryRelease(release).passed(MIB);
    vi.advanceTimersByTime(60_000);
    expect(release).not.toHaveBeenCalled();
  });
});
