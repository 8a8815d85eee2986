/** Copies of volumes: taken while their service is paused, restored into the same project or another one. */
import { mkdirSync, mkdtempSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { CopyVolumesRequest, RuntimeService, RuntimeStack } from "../../../src/stack/runtime.js";
import { type Bench, freePort } from "./bench.js";
import { type Given, shared } from "./contract.js";
import { redis, redisStore } from "./redis.js";

const VOLUMES = ["store-data"];

const archive = (bench: Bench): string => mkdtempSync(join(bench.root, "archive-"));

const copy = (bench: Bench, to: string, fields: Partial<CopyVolumesRequest> = {}): Promise<Record<string, number>> =>
  bench.target.runtime.copyVolumes(
    {
      projectId: bench.projectId,
      stateDir: bench.stateDir,
      volumes: VOLUMES,
      signal: new AbortController().signal,
      maxBytes: 1 << 30,
      ...fields,
    },
    to,
  );

const restore = (bench: Bench, from: string, signal = new AbortController().signal): Promise<void> =>
  bench.target.runtime.restoreVolumes(
    { projectId: bench.projectId, stateDir: bench.stateDir, volumes: VOLUMES, signal },
    from,
  );

export function snapshotTests(given: Given): void {
  describe("copies of volumes", () => {
    interface Up {
      stack: RuntimeStack;
      running: RuntimeService;
    }
    const store = shared(given, async () => {
      /** A service that still runs at the end of its test. */
      const kept: { third?: Up } = {};
      return { port: await freePort(), kept };
    });
    const up = async (): Promise<Up> => {
      const { bench, port } = await store();
      const service = redisStore(bench, port);
      const stack = await bench.open([service], { volumes: VOLUMES });
      const running = await bench.start(stack, service);
      await bench.untilHealthy(running, { kind: "redis" });
      return { stack, running };
    };
    const down = async ({ stack, running }: Up): Promise<void> => {
      await running.stop({ graceMs: 10_000 });
      await stack.close();
    };

    it("a copy of a paused service's volumes can be restored into the same and another project", async () => {
      const { bench, port, kept } = await store();
      const first = await up();
      expect(await redis(port, "SET", "word", "before")).toBe("OK");
      const to = archive(bench);
      await first.running.pause();
      const sizes = await copy(bench, to, { volumes: [...VOLUMES, "never-was"] });
      await first.running.resume();
      expect(Object.keys(sizes)).toEqual(VOLUMES);
      expect(sizes["store-data"]).toBeGreaterThan(0);
      // The pause has lost no data.
      expect(await redis(port, "SET", "word", "after")).toBe("OK");
      await down(first);

      await restore(bench, to);
      const second = await up();
      expect(await redis(port, "GET", "word")).toBe("before");
      await down(second);

      const other = {
        projectId: `${bench.projectId}other`,
        stateDir: join(bench.root, "state", "projects", "other"),
        volumes: VOLUMES,
        signal: new AbortController().signal,
      };
      mkdirSync(other.stateDir, { mode: 0o711 });
      await bench.target.runtime.restoreVolumes(other, to);
      const theirs = archive(bench);
      expect(await bench.target.runtime.copyVolumes({ ...other, maxBytes: 1 << 30 }, theirs)).toEqual(sizes);
      await bench.target.runtime.removeVolumes(other.projectId, other.stateDir, VOLUMES);

      // A restore from an archive without the volume empties it.
      await restore(bench, archive(bench));
      kept.third = await up();
      expect(await redis(port, "EXISTS", "word")).toBe("0");
    });

    it("a copy above its size limit and a cancelled copy or restore change nothing", async () => {
      const { bench, port, kept } = await store();
      const first = kept.third ?? (await up());
      expect(await redis(port, "SET", "word", "kept")).toBe("OK");
      const to = archive(bench);
      await expect(copy(bench, to, { maxBytes: 10 })).rejects.toMatchObject({ code: "SNAPSHOT_TOO_LARGE" });
      const end = new AbortController();
      end.abort(new Error("cancelled by the test"));
      await expect(copy(bench, archive(bench), { signal: end.signal })).rejects.toThrow("cancelled by the test");
      await down(first);
      const whole = archive(bench);
      await copy(bench, whole);
      await expect(restore(bench, whole, end.signal)).rejects.toThrow("cancelled by the test");
      const second = await up();
      expect(await redis(port, "GET", "word")).toBe("kept");
      await down(second);
      await bench.target.runtime.removeVolumes(bench.projectId, bench.stateDir, VOLUMES);
    });

    it("volumes without data give an empty copy", async () => {
      expect(await copy(given(), archive(given()))).toEqual({});
    });
  });
}
