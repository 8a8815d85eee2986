/** How services start and end. */
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import type { RuntimeService } from "../../../src/stack/runtime.js";
import { endedBy, WAITS } from "./bench.js";
import { type Given, once, shared } from "./contract.js";

/** Ignores SIGTERM. */
const STUBBORN = `
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("up", flush=True)
while True: time.sleep(0.05)
`;

/**
 * A parent whose child prints "tick" also after the parent's end. The parent exits with 42 on SIGINT and ignores
 * SIGTERM. The child ignores both.
 */
const FAMILY = `
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGINT, signal.SIG_IGN)
if os.fork() == 0:
    os.setpgid(0, 0) if hasattr(os, "setpgid") else None
    while True:
        print("tick", flush=True)
        time.sleep(0.05)
signal.signal(signal.SIGINT, lambda *_: sys.exit(42))
print("up", flush=True)
while True: time.sleep(0.05)
`;

export function endTests(given: Given): void {
  describe("starts and ends", () => {
    const all = shared(given, async (bench) => {
      const missing = ["/nowhere/no-such-program", bench.mark];
      const services = {
        app: bench.python("app", WAITS),
        good: bench.python("good", "print('done')"),
        bad: bench.python("bad", "import sys; print('here'); sys.exit(7)"),
        killed: bench.python("killed", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"),
        missing: { ...bench.python("missing", ""), command: missing, local: { command: missing, environment: {} } },
        stubborn: bench.python("stubborn", STUBBORN),
        family: bench.python("family", FAMILY, { stopSignal: "SIGINT" }),
      };
      return { services, stack: await bench.open(Object.values(services)) };
    });

    const app = once(async () => {
      const { bench, services, stack } = await all();
      const before = Date.now();
      const running = await bench.start(stack, services.app, { generation: 7 });
      const sink = bench.sink("app");
      await sink.shows("up");
      return { before, running, sink };
    });
    /** The exits that two stops return. */
    const stopped = once(async () => {
      const { running } = await app();
      return Promise.all([running.stop({ graceMs: 15_000, signal: "SIGTERM" }), running.stop({ graceMs: 15_000 })]);
    });
    const next = once(async () => {
      const { bench, services, stack } = await all();
      await stopped();
      const running = await bench.start(stack, services.app, { generation: 8 });
      await bench.sink("app").shows("up");
      return running;
    });
    const exits = once(async () => {
      const { bench, services, stack } = await all();
      const running = await Promise.all([services.good, services.bad].map((one) => bench.start(stack, one)));
      return { running, exits: await Promise.all(running.map((one) => one.exited)) };
    });
    const family = once(async () => {
      const { bench, services, stack } = await all();
      const running = await bench.start(stack, services.family);
      const sink = bench.sink("family");
      await sink.shows("up");
      await sink.shows("tick");
      return { sink, exit: await running.stop({ graceMs: 15_000, signal: "SIGINT" }) };
    });

    it("a start resolves once the process runs, with its service, generation and start time", async () => {
      const { before, running } = await app();
      expect(running).toMatchObject({ service: "app", generation: 7 });
      expect(running.startedAt).toBeGreaterThanOrEqual(before - 5);
      expect(running.startedAt).toBeLessThanOrEqual(Date.now());
      expect(Array.isArray(running.notes)).toBe(true);
    });

    it("a stop sends SIGTERM and returns the exit of the service", async () => {
      const { bench } = await all();
      const { running, sink } = await app();
      const [exit] = await stopped();
      expect(exit).toMatchObject({ exitCode: 0, signal: null, oomKilled: false });
      expect(sink.text()).toContain("received SIGTERM");
      expect(await running.exited).toEqual(exit);
      await bench.nothingRuns();
    });

    it("concurrent and repeated stops send one signal and return the same exit", async () => {
      const { running, sink } = await app();
      const both = await stopped();
      expect(both[0]).toEqual(both[1]);
      expect(await running.stop({ graceMs: 1000 })).toEqual(both[0]);
      expect(sink.text().match(/received SIGTERM/g)).toHaveLength(1);
    });

    it("a stopped service starts again as a new instance", async () => {
      const running = await next();
      expect(running.generation).toBe(8);
      expect(await Promise.race([running.exited, sleep(200, "runs")])).toBe("runs");
    });

    it("a stop without a grace period kills the service at once", async () => {
      const { bench } = await all();
      expect(endedBy(await (await next()).stop({ graceMs: 0 }), "SIGKILL")).toBe(true);
      expect(bench.sink("app").text()).not.toContain("received SIGTERM");
    });

    it("an exit code is reported to every caller that waits for it", async () => {
      const { running, exits: reported } = await exits();
      const [first, second] = reported;
      expect(first).toMatchObject({ exitCode: 0, signal: null, oomKilled: false });
      expect(second).toMatchObject({ exitCode: 7, signal: null, oomKilled: false });
      expect(await running[1]?.exited).toBe(second);
      expect(Math.abs(Date.now() - (second?.at ?? 0))).toBeLessThan(60_000);
    });

    it("a crashed service starts again", async () => {
      const { bench, services, stack } = await all();
      await exits();
      const again = await bench.start(stack, services.bad);
      expect((await again.exited).exitCode).toBe(7);
      expect(bench.sink("bad").text()).toContain("here");
    });

    it("a kill by SIGKILL is reported as that signal and not as an OOM kill", async () => {
      const { bench, services, stack } = await all();
      const exit = await (await bench.start(stack, services.killed)).exited;
      expect(endedBy(exit, "SIGKILL"), JSON.stringify(exit)).toBe(true);
      expect(exit.oomKilled).toBe(false);
    });

    it("a missing program fails the start or ends with code 126 or 127, and leaves no process", async () => {
      const { bench, services, stack } = await all();
      let running: RuntimeService | undefined;
      try {
        running = await bench.start(stack, services.missing);
      } catch (error) {
        expect(error).toMatchObject({ code: "SERVICE_START_FAILED" });
      }
      if (running !== undefined) expect([126, 127]).toContain((await running.exited).exitCode);
      await bench.nothingRuns();
    });

    it("a service that ignores the stop signal is killed after its grace period", async () => {
      const { bench, services, stack } = await all();
      const running = await bench.start(stack, services.stubborn);
      await bench.sink("stubborn").shows("up");
      const begun = Date.now();
      const exit = await running.stop({ graceMs: 1200 });
      expect(endedBy(exit, "SIGKILL"), JSON.stringify(exit)).toBe(true);
      expect(exit.oomKilled).toBe(false);
      expect(Date.now() - begun).toBeGreaterThanOrEqual(1100);
      await bench.nothingRuns();
    });

    it("a stop sends the requested signal", async () => {
      expect((await family()).exit.exitCode).toBe(42);
    });

    it("child processes of a service end with it", async () => {
      const { bench } = await all();
      const { sink } = await family();
      const seen = sink.text().length;
      await sleep(400);
      expect(sink.text()).toHaveLength(seen);
      await bench.nothingRuns();
    });
  });
}
