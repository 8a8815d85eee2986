/** How services start and end. */
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import type { RuntimeService } from "../../../src/stack/runtime.js";
import { endedBy, INTERRUPTED, WAITS } from "./bench.js";
import type { Given } from "./contract.js";

/** Ignores SIGTERM. */
const STUBBORN = `
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("up", flush=True)
while True: time.sleep(0.05)
`;

/** A parent whose child prints "tick" also after the parent's end. */
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

export function endTests(given: Given): void {
  describe("starts and ends", () => {
    it("a start resolves once the process runs, with its service, generation and start time", async () => {
      const bench = given();
      const before = Date.now();
      const { running, sink } = await bench.run(bench.python("app", WAITS), { generation: 7 });
      await sink.shows("up");
      expect(running).toMatchObject({ service: "app", generation: 7 });
      expect(running.startedAt).toBeGreaterThanOrEqual(before - 5);
      expect(running.startedAt).toBeLessThanOrEqual(Date.now());
      expect(Array.isArray(running.notes)).toBe(true);
    });

    it("an exit code is reported to every caller that waits for it", async () => {
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

    it("a kill by SIGKILL is reported as that signal and not as an OOM kill", async () => {
      const bench = given();
      const { running } = await bench.run(
        bench.python("app", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"),
      );
      const exit = await running.exited;
      expect(endedBy(exit, "SIGKILL"), JSON.stringify(exit)).toBe(true);
      expect(exit.oomKilled).toBe(false);
    });

    it("a missing program fails the start or ends with code 126 or 127, and leaves no process", async () => {
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

    it("a stop sends SIGTERM and returns the exit of the service", async () => {
      const bench = given();
      const { running, sink } = await bench.run(bench.python("app", WAITS));
      await sink.shows("up");
      const exit = await running.stop({ graceMs: 15_000, signal: "SIGTERM" });
      expect(exit).toMatchObject({ exitCode: 0, signal: null, oomKilled: false });
      expect(sink.text()).toContain("received SIGTERM");
      expect(await running.exited).toEqual(exit);
      await bench.nothingRuns();
    });

    it("a stop sends the requested signal", async () => {
      const bench = given();
      const { running, sink } = await bench.run(bench.python("app", INTERRUPTED, { stopSignal: "SIGINT" }));
      await sink.shows("up");
      expect((await running.stop({ graceMs: 15_000, signal: "SIGINT" })).exitCode).toBe(42);
    });

    it("a service that ignores the stop signal is killed after its grace period", async () => {
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

    it("a stop without a grace period kills the service at once", async () => {
      const bench = given();
      const { running, sink } = await bench.run(bench.python("app", WAITS));
      await sink.shows("up");
      expect(endedBy(await running.stop({ graceMs: 0 }), "SIGKILL")).toBe(true);
      expect(sink.text()).not.toContain("received SIGTERM");
    });

    it("concurrent and repeated stops send one signal and return the same exit", async () => {
      const bench = given();
      const { running, sink } = await bench.run(bench.python("app", WAITS));
      await sink.shows("up");
      const both = await Promise.all([running.stop({ graceMs: 15_000 }), running.stop({ graceMs: 15_000 })]);
      expect(both[0]).toEqual(both[1]);
      expect(await running.stop({ graceMs: 1000 })).toEqual(both[0]);
      expect(sink.text().match(/received SIGTERM/g)).toHaveLength(1);
    });

    it("child processes of a service end with it", async () => {
      const bench = given();
      const { running, sink } = await bench.run(bench.python("app", FAMILY));
      await sink.shows("tick");
      await running.stop({ graceMs: 5000 });
      const seen = sink.text().length;
      await sleep(400);
      expect(sink.text()).toHaveLength(seen);
      await bench.nothingRuns();
    });

    it("a stopped service starts again as a new instance", async () => {
      const bench = given();
      const service = bench.python("app", WAITS);
      const { stack, running } = await bench.run(service);
      await running.stop({ graceMs: 10_000 });
      const next = await bench.start(stack, service);
      await bench.sink("app").shows("up");
      expect(next.generation).toBe(running.generation + 1);
      expect(await Promise.race([next.exited, sleep(200, "runs")])).toBe("runs");
    });

    it("a crashed service starts again", async () => {
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
