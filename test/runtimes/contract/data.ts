/** Data that outlives an instance: volumes and the project's current source. */
import { describe, expect, it } from "vitest";
import type { ServiceDefinition } from "../../../src/stack/definition/types.js";
import { type Bench, freePort } from "./bench.js";
import { type Given, shared } from "./contract.js";
import { redis, redisStore } from "./redis.js";

export function dataTests(given: Given): void {
  describe("data and source", () => {
    const inVolume = (bench: Bench, service: ServiceDefinition) => bench.open([service], { volumes: ["store-data"] });
    /** A Redis server with a volume, into which it wrote a key. */
    const store = shared(given, async (bench) => {
      const port = await freePort();
      const service = redisStore(bench, port);
      const stack = await inVolume(bench, service);
      const first = await bench.start(stack, service);
      await bench.untilHealthy(first, { kind: "redis" });
      return { port, service, stack, first, set: await redis(port, "SET", "kept", "by the volume") };
    });

    it("a redis check is healthy while the server runs and unhealthy after its stop", async () => {
      const { bench, first } = await store();
      expect(await bench.probe(first, { kind: "redis" })).toMatchObject({ healthy: true, message: "PONG" });
      await first.stop({ graceMs: 10_000 });
      expect((await bench.probe(first, { kind: "redis" }, 2000)).healthy).toBe(false);
    });

    it("a volume keeps its data over restarts and stacks until it is removed", async () => {
      const { bench, port, service, stack, first, set } = await store();
      const opened = (again: ServiceDefinition) => inVolume(bench, again);
      expect(first.user.uid).not.toBe(process.getuid?.() === 0 ? 0 : -1);
      expect(set).toBe("OK");
      expect(await first.emptyVolumes).toEqual(["store-data"]);
      await first.stop({ graceMs: 10_000 });
      const second = await bench.start(stack, service);
      await bench.untilHealthy(second, { kind: "redis" });
      expect(await redis(port, "GET", "kept")).toBe("by the volume");
      expect(await second.emptyVolumes).toEqual([]);
      await second.stop({ graceMs: 10_000 });
      await stack.close();

      const later = await opened(service);
      const third = await bench.start(later, service);
      await bench.untilHealthy(third, { kind: "redis" });
      expect(await redis(port, "GET", "kept")).toBe("by the volume");
      expect(await third.emptyVolumes).toEqual([]);
      await third.stop({ graceMs: 10_000 });
      await later.close();

      await bench.target.runtime.removeVolumes(bench.projectId, bench.stateDir, ["store-data"]);
      const anew = await opened(service);
      const fourth = await bench.start(anew, service);
      await bench.untilHealthy(fourth, { kind: "redis" });
      expect(await redis(port, "EXISTS", "kept")).toBe("0");
      expect(await fourth.emptyVolumes).toEqual(["store-data"]);
      expect(await redis(port, "SET", "kept", "again")).toBe("OK");
      await fourth.stop({ graceMs: 10_000 });
      await anew.close();

      // Without the names of its volumes, because the project's folder may no longer exist.
      await bench.target.runtime.removeProject(bench.projectId, bench.stateDir);
      const last = await opened(service);
      const fifth = await bench.start(last, service);
      await bench.untilHealthy(fifth, { kind: "redis" });
      expect(await redis(port, "EXISTS", "kept")).toBe("0");
    });

    it("a restart uses the current source of the project", async () => {
      const bench = given();
      bench.file("app/words.txt", "first");
      const service = bench.python("app", `print(open("words.txt").read(), flush=True)`, {
        workingDir: "/srv/app",
        mounts: [{ type: "bind", source: `${bench.folder}/app`, target: "/srv/app", readOnly: false }],
        local: { workingDir: `${bench.folder}/app`, environment: {} },
      });
      const { stack, running } = await bench.run(service);
      await running.exited;
      expect(bench.sink("app").all).toBe("first\n");
      bench.file("app/words.txt", "second");
      await (await bench.start(stack, service)).exited;
      expect(bench.sink("app").all).toBe("second\n");
    });

    it("removal of volumes that do not exist succeeds", async () => {
      const bench = given();
      await bench.target.runtime.removeVolumes(bench.projectId, bench.stateDir, ["never-was"]);
      await bench.target.runtime.removeProject(bench.projectId, bench.stateDir);
    });
  });
}
