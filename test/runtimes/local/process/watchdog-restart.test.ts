/** Restarts of the watchdog. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { HostFixture, until } from "./support.js";

let fixture: HostFixture;
beforeEach(() => {
  fixture = new HostFixture();
});
afterEach(async () => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  await fixture.close();
});

describe("restarts of the watchdog", () => {
  it("a killed watchdog is restarted, after a pause if it ran briefly, and never after close", async () => {
    const host = await fixture.host();
    expect(host.watchdogPid).toBeNull();
    await fixture.shell("sleep 60");
    const kill = async (): Promise<number> => {
      const pid = host.watchdogPid as number;
      const count = fixture.warnings.length;
      process.kill(pid, "SIGKILL");
      await until("its end is reported", () => fixture.warnings.length > count);
      return pid;
    };
    // Fake timers decide whether the watchdog ran briefly, not the load of the machine.
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] });
    vi.advanceTimersByTime(1050);
    const first = await kill();
    vi.advanceTimersByTime(0);
    expect(host.watchdogPid).not.toBe(first);
    const second = await kill();
    vi.advanceTimersByTime(900);
    expect(host.watchdogPid).toBe(second);
    vi.advanceTimersByTime(100);
    expect(host.watchdogPid).not.toBe(second);
    const third = await kill();
    await fixture.close();
    vi.advanceTimersByTime(5000);
    expect(host.watchdogPid).toBe(third);
    fixture = new HostFixture();
  });

  it("a watchdog that cannot be started is reported, and services start without it", async () => {
    const host = await fixture.host();
    vi.spyOn(process, "execPath", "get").mockReturnValue("/nonexistent/node");
    const running = await fixture.shell("echo runs; sleep 60");
    await until("the warning", () => fixture.warnings.some((text) => text.includes("cannot be started")));
    await until("it runs", () => fixture.sink.all === "runs\n");
    vi.restoreAllMocks();
    await fixture.shell("sleep 60");
    expect(host.watchdogPid).not.toBeNull();
    await running.stop({ graceMs: 1000 });
  });
});
