/** The updates, cancellation, close and loss of a stack. */
import { describe, expect, it } from "vitest";
import type { RuntimeService } from "../../../src/stack/runtime.js";
import { Bench, closeServer, freePort, listen, until, WAITS, WEB_PORT } from "./bench.js";
import { type Given, shared } from "./contract.js";

export function stackTests(given: Given): void {
  describe("the stack", () => {
    it("check() reports the isolation with reasons, and capacity() reports CPUs and memory", async () => {
      const { runtime } = given.target();
      // The check takes at most one second, in which an engine on a busy machine may not answer.
      let status = await runtime.check();
      for (let attempt = 1; attempt < 10 && !status.available; attempt += 1) status = await runtime.check();
      expect(status).toMatchObject({ runtime: runtime.name, available: true });
      expect(status.findings.length).toBeGreaterThan(0);
      for (const finding of status.findings) expect(finding.message).not.toBe("");
      for (const kind of ["limits", "users", "network", "filesystem"] as const)
        expect(status.isolation[kind].reason, kind).not.toBe("");
      const { cpus, memory_mb } = runtime.capacity();
      expect(cpus).toBeGreaterThan(0);
      expect(memory_mb).toBeGreaterThan(0);
    });

    const publishes = (hostPort: number) => ({
      ports: [{ containerPort: WEB_PORT, hostPort, protocol: "tcp" as const }],
    });
    /** A stack whose definition tests update. */
    const updated = shared(given, async (bench) => {
      const first = await freePort();
      const old = bench.web("old", publishes(first));
      return { first, old, stack: await bench.open([old]) };
    });

    it("an update with a port in use changes nothing", async () => {
      const { bench, old, stack } = await updated();
      const before = stack.endpoints();
      const blocker = await listen(0);
      const { port } = blocker.address() as { port: number };
      const fresh = bench.web("new", publishes(port));
      const refused = stack.update(bench.definition([old, fresh]));
      await expect(refused).rejects.toMatchObject({ code: "PORT_IN_USE" });
      // checkPorts reports it without a start and holds no port.
      await expect(bench.checkPorts([fresh])).rejects.toMatchObject({ code: "PORT_IN_USE" });
      await closeServer(blocker);
      for (let round = 0; round < 2; round += 1) expect(await bench.checkPorts([fresh])).toEqual(["new", port]);
      expect(stack.endpoints()).toEqual(before);
      const running = await bench.start(stack, old);
      await bench.untilHealthy(running, { kind: "tcp", port: WEB_PORT });
      await running.stop({ graceMs: 10_000 });
    });

    it("an update holds the new ports and releases the removed ones", async () => {
      const { bench, first, stack } = await updated();
      const second = await freePort();
      const fresh = bench.web("new", publishes(second));
      await stack.update(bench.definition([fresh]));
      expect(stack.endpoints().map(({ service, host_port }) => [service, host_port])).toEqual([["new", second]]);
      await closeServer(await listen(first));
      const running = await bench.start(stack, fresh);
      await bench.untilHealthy(running, { kind: "http", port: WEB_PORT, path: "/", status: 200 });
    });

    it("a cancelled opening holds no port", async () => {
      const bench = given();
      const port = await freePort();
      const abort = new AbortController();
      abort.abort(new Error("changed my mind"));
      const web = bench.web("web", publishes(port));
      await expect(bench.open([web], {}, abort.signal)).rejects.toThrow();
      await closeServer(await listen(port));
    });

    /** A stack whose starts are cancelled before it closes. */
    const ended = shared(given, async (bench) => {
      const port = await freePort();
      const [web, app] = [bench.web("web", publishes(port)), bench.python("app", WAITS)];
      /** A service that still runs at the end of its test. */
      const kept: { app?: RuntimeService } = {};
      return { port, web, app, kept, stack: await bench.open([web, app]) };
    });

    it("a start that is cancelled beforehand starts no process", async () => {
      const { bench, app, stack } = await ended();
      const abort = new AbortController();
      abort.abort(new Error("changed my mind"));
      await expect(bench.start(stack, app, { signal: abort.signal })).rejects.toThrow();
      await bench.nothingRuns();
    });

    it("a cancelled start leaves no process and can be repeated", async () => {
      const { bench, app, kept, stack } = await ended();
      for (const afterMs of [0, 30, 150]) {
        const abort = new AbortController();
        const timer = setTimeout(() => abort.abort(new Error("changed my mind")), afterMs);
        const outcome = await bench.start(stack, app, { signal: abort.signal }).catch(() => null);
        clearTimeout(timer);
        // The cancellation may be too late; then the service runs.
        await outcome?.stop({ graceMs: 0 });
        await bench.nothingRuns();
      }
      kept.app = await bench.start(stack, app);
      await bench.sink("app").shows("up");
    });

    it("close() ends every service and releases the ports, and can be repeated", async () => {
      const { bench, port, web, app, kept, stack } = await ended();
      const started = [await bench.start(stack, web), kept.app ?? (await bench.start(stack, app))];
      await bench.sink("app").shows("up");
      await stack.close();
      await Promise.all(started.map((one) => one.exited));
      expect(bench.sink("app").ends).toBe(1);
      await bench.nothingRuns();
      await until("the port is free", async () => {
        const server = await listen(port).catch(() => null);
        if (server !== null) await closeServer(server);
        return server !== null;
      });
      await stack.close();
      await expect(bench.start(stack, app)).rejects.toThrow();
    });

    it("two projects with the same service names are separate", async () => {
      const bench = given();
      const other = new Bench(bench.target);
      try {
        const [ports, says] = [
          [await freePort(), await freePort()],
          ["mine", "theirs"],
        ];
        const services = [bench, other].map((one, index) =>
          one.web("web", {
            environment: { SAYS: says[index] ?? "" },
            ports: [{ containerPort: WEB_PORT, hostPort: ports[index] as number, protocol: "tcp" }],
          }),
        );
        const [mine, theirs] = await Promise.all(
          [bench, other].map((one, index) => one.run(services[index] as NonNullable<(typeof services)[number]>)),
        );
        await bench.untilHealthy(mine?.running as never, { kind: "tcp", port: WEB_PORT });
        await other.untilHealthy(theirs?.running as never, { kind: "tcp", port: WEB_PORT });
        for (const index of [0, 1]) {
          const reply = await (await fetch(`http://127.0.0.1:${ports[index]}/`)).text();
          expect(reply).toBe(says[index]);
        }
        await theirs?.running.stop({ graceMs: 10_000 });
        expect(await (await fetch(`http://127.0.0.1:${ports[0]}/`)).text()).toBe("mine");
      } finally {
        await other.close();
      }
    });

    it("the end of the runtime is reported as lost with a reason, and a new stack can start", async (context) => {
      const bench = given();
      const { kill } = bench.target;
      if (kill === undefined) {
        context.skip("this runtime has no engine or session that can end");
        return;
      }
      const service = bench.python("app", WAITS);
      const { stack, running } = await bench.run(service);
      await bench.sink("app").shows("up");
      await kill(stack);
      expect((await stack.lost).reason).not.toBe("");
      await running.exited;
      await stack.close();
      await bench.nothingRuns();
      const again = await bench.open([service]);
      await bench.start(again, service);
      await bench.sink("app").shows("up");
    });
  });
}
