/** How services start and end. */
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import type { RuntimeService } from "../../../src/stack/runtime.js";
import { endedBy, INTERRUPTED, WAITS } from "./bench.js";
import type { Given } from "./contract.js";

/** Ignores the polite signal. */
const STUBBORN = `
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("up", flush=True)
while True: time.sleep(0.05)
`;

/** A parent whose child goes on ticking, whatever happens to the parent. */
const FAMILY = `
import os, signal, sys, time
if os.fork() == 0:
    os.setpgid(0, 0) if hasattr(os, "setpgid") else None
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        print("tick", flush=True)
        time.sleep(0.05)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
while True: time.sleep(0.05)
`;

export function endSentences(given: Given): void {
  describe("starting and ending", () => {
    it("a start resolves once the process runs, and says which instance it is", async () => {
      const bench = given();
      const before = Date.now();
      const { running, sink } = await bench.run(bench.python("app", WAITS), { generation: 7 });
      await sink.shows("up");
      expect(running).toMatchObject({ service: "app", generation: 7 });
      expect(running.startedAt).toBeGreaterThanOrEqual(before - 5);
      expect(running.startedAt).toBeLessThanOrEqual(Date.now());
      expect(Array.isArray(running.notes)).toBe(true);
    });

    it("an exit code is reported once, to every caller that waits for it", async () => {
      const bench = given();
      const good = bench.python("good", "print('done')");
      const bad = bench.python("bad", "import sys; sys.exit(7)");
      const stack = await bench.open([good, bad]);
      const started = await Promise.all([bench.start(stack, good), bench.start(stack, bad)]);
      const [first, second] = await Promise.all(started.map((one) => one.exited));
      expect(first).toMatchObject({ exitCode: 0, signal: null, oomKilled: false });
      expect(second).toMatchObject({ exitCode: 7, signal: null, oomKilled: false });
      expect(await started[1]?.exited).toBe(second);
      expect(Math.abs(Date.now() - (second?.at ?? 0))).toBeLessThan(60_000);
    });

    it("an end by a signal is reported as such, and not as an OOM kill", async () => {
      const bench = given();
      const { running } = await bench.run(
        bench.python("app", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"),
      );
      const exit = await running.exited;
      expect(endedBy(exit, "SIGKILL"), JSON.stringify(exit)).toBe(true);
      expect(exit.oomKilled).toBe(false);
    });

    it("a program that does not exist fails the start, or ends as shells say it; nothing of it is left", async () => {
      const bench = given();
      const lost = bench.python("app", WAITS);
      const command = ["/nowhere/no-such-program", bench.mark];
      const service = { ...lost, command, local: { command, environment: {} } };
      const stack = await bench.open([service]);
      let running: RuntimeService | undefined;
      try {
        running = await bench.start(stack, service);
      } catch (error) {
        expect(error).toMatchObject({ code: "SERVICE_START_FAILED" });
      }
      if (running !== undefined) expect([126, 127]).toContain((await running.exited).exitCode);
      await bench.nothingRuns();
    });

    it("a stop asks first, and tells how the service ended", async () => {
      const bench = given();
      const { running, sink } = await bench.run(bench.python("app", WAITS));
      await sink.shows("up");
      const exit = await running.stop({ graceMs: 15_000, signal: "SIGTERM" });
      expect(exit).toMatchObject({ exitCode: 0, signal: null, oomKilled: false });
      expect(sink.text()).toContain("asked to end");
      expect(await running.exited).toEqual(exit);
      await bench.nothingRuns();
    });

    it("the stop signal is the one asked for", async () => {
      const bench = given();
      const { running, sink } = await bench.run(bench.python("app", INTERRUPTED, { stopSignal: "SIGINT" }));
      await sink.shows("up");
      expect((await running.stop({ graceMs: 15_000, signal: "SIGINT" })).exitCode).toBe(42);
    });

    it("a service that ignores the signal is killed after its grace period, not before", async () => {
      const bench = given();
      const { running, sink } = await bench.run(bench.python("app", STUBBORN));
      await sink.shows("up");
      const begun = Date.now();
      const exit = await running.stop({ graceMs: 1200 });
      expect(endedBy(exit, "SIGKILL"), JSON.stringify(exit)).toBe(true);
      expect(exit.oomKilled).toBe(false);
      expect(Date.now() - begun).toBeGreaterThanOrEqual(1100);
      await bench.nothingRuns();
    });

    it("without grace it is killed at once", async () => {
      const bench = given();
      const { running, sink } = await bench.run(bench.python("app", WAITS));
      await sink.shows("up");
      expect(endedBy(await running.stop({ graceMs: 0 }), "SIGKILL")).toBe(true);
      expect(sink.text()).not.toContain("asked to end");
    });

    it("stopping twice, together or after the end, is one stop", async () => {
      const bench = given();
      const { running, sink } = await bench.run(bench.python("app", WAITS));
      await sink.shows("up");
      const both = await Promise.all([running.stop({ graceMs: 15_000 }), running.stop({ graceMs: 15_000 })]);
      expect(both[0]).toEqual(both[1]);
      expect(await running.stop({ graceMs: 1000 })).toEqual(both[0]);
      expect(sink.text().match(/asked to end/g)).toHaveLength(1);
    });

    it("what the service started ends with it", async () => {
      const bench = given();
      const { running, sink } = await bench.run(bench.python("app", FAMILY));
      await sink.shows("tick");
      await running.stop({ graceMs: 5000 });
      const seen = sink.text().length;
      await sleep(400);
      expect(sink.text()).toHaveLength(seen);
      await bench.nothingRuns();
    });

    it("the same service starts again after its end, as a new instance", async () => {
      const bench = given();
      const service = bench.python("app", WAITS);
      const { stack, running } = await bench.run(service);
      await running.stop({ graceMs: 10_000 });
      const next = await bench.start(stack, service);
      await bench.sink("app").shows("up");
      expect(next.generation).toBe(running.generation + 1);
      expect(await Promise.race([next.exited, sleep(200, "runs")])).toBe("runs");
    });

    it("it starts again after it crashed by itself", async () => {
      const bench = given();
      const service = bench.python("app", "import sys; print('here'); sys.exit(3)");
      const { stack, running } = await bench.run(service);
      expect((await running.exited).exitCode).toBe(3);
      const next = await bench.start(stack, service);
      expect((await next.exited).exitCode).toBe(3);
      expect(bench.sink("app").text()).toContain("here");
    });
  });
}
