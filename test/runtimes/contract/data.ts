/** Data that outlives an instance: volumes and the project's current source. */
import { describe, expect, it } from "vitest";
import type { ServiceDefinition } from "../../../src/stack/definition/types.js";
import { freePort } from "./bench.js";
import type { Given } from "./contract.js";
import { redis, redisStore } from "./redis.js";

export function dataTests(given: Given): void {
  describe("data and source", () => {
    const store = (port: number) => redisStore(given(), port);
    const opened = (service: ServiceDefinition) => given().open([service], { volumes: ["store-data"] });

    it("a volume keeps its data over restarts and stacks until it is removed", async () => {
      const bench = given();
      const port = await freePort();
      const service = store(port);
      const stack = await opened(service);
      const first = await bench.start(stack, service);
      await bench.untilHealthy(first, { kind: "redis" });
      expect(first.user.uid).not.toBe(process.getuid?.() === 0 ? 0 : -1);
      expect(await redis(port, "SET", "kept", "by the volume")).toBe("OK");
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

    it("a redis check is healthy while the server runs and unhealthy after its stop", async () => {
      const bench = given();
      const service = store(await freePort());
      const stack = await opened(service);
      const running = await bench.start(stack, service);
      await bench.untilHealthy(running, { kind: "redis" });
      expect(await bench.probe(running, { kind: "redis" })).toMatchObject({ healthy: true, message: "PONG" });
      await running.stop({ graceMs: 10_000 });
      expect((await bench.probe(running, { kind: "redis" }, 2000)).healthy).toBe(false);
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
