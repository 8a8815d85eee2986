/** Keys of named volumes on an engine, and their deletion. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { removeVolumes } from "../../../../src/runtimes/dagger/stack/remove-volumes.js";
import { forgetVolumes, volumeKey } from "../../../../src/runtimes/dagger/stack/volumes.js";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "stackwarden-build-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe("volumes", () => {
  const used = { runnerHost: "unix:///engine", user: "70", image: "postgres:15" };

  it("that are deleted are emptied on each engine by the image and the user that used them, else by one that is always there", async () => {
    const [kept, data, built, other] = await Promise.all([
      volumeKey(folder, "shop", "kept", used),
      volumeKey(folder, "shop", "data", used),
      volumeKey(folder, "shop", "built", { runnerHost: "unix:///engine" }),
      volumeKey(folder, "shop", "data", { ...used, runnerHost: "tcp://other:1" }),
    ]);
    const done: string[] = [];
    const warnings: string[] = [];
    const session = (engine: string) => {
      const container = (words: string[]): object => {
        const step = (...given: unknown[]) => container([...words, ...given.flat().map(String)]);
        return {
          from: step,
          withUser: step,
          withMountedCache: step,
          withEnvVariable: () => container(words),
          withExec: step,
          sync: async () => void done.push([engine, ...words].join(" ")),
        };
      };
      const client = { container: () => container([]), cacheVolume: (key: string) => key };
      return { client: () => client, close: async () => void done.push(`${engine} closed`) };
    };
    const remove = (names: string[], env: NodeJS.ProcessEnv, fails = "") =>
      removeVolumes({
        projectId: "shop",
        stateDir: folder,
        volumes: names,
        env,
        warn: (message) => warnings.push(message),
        openSession: async ({ runnerHost }) => {
          if (runnerHost === fails) throw new Error("no engine here");
          return session(runnerHost ?? "") as never;
        },
        fallbackImage: "node:20-alpine",
      });
    const bin = join(folder, "bin");
    mkdirSync(bin);
    writeFileSync(join(bin, "dagger"), "#!/bin/sh\necho dagger v0.21.8\n", { mode: 0o755 });
    const env = { PATH: `${bin}:/usr/bin:/bin` };
    await remove(["nothing"], {});
    expect([done, warnings]).toEqual([[], []]);
    await remove(["data"], env, "tcp://other:1");
    const empties = "/bin/sh -c find /volume -mindepth 1 -delete";
    expect(done).toEqual([`unix:///engine postgres:15 70 /volume ${data} ${empties}`, "unix:///engine closed"]);
    expect(warnings).toEqual([expect.stringMatching(/^shop: .*still holds their content.*: no engine here$/)]);
    // Forgotten all the same: the next stack gets an empty one on both.
    expect(await volumeKey(folder, "shop", "data", { ...used, runnerHost: "tcp://other:1" })).not.toBe(other);
    await remove(["built"], env);
    expect(done.slice(2)).toEqual([
      `unix:///engine node:20-alpine root /volume ${built} ${empties}`,
      "unix:///engine closed",
    ]);
    await remove(["data"], { PATH: "/nowhere" });
    expect(warnings[1]).toMatch(/still holds their content.*: .*dagger/i);
    expect(done).toHaveLength(4);
    expect(await volumeKey(folder, "shop", "kept", used)).toBe(kept);
  });

  it("a key is made once for each volume and engine, and kept readable for the owner only", async () => {
    const keys = await Promise.all(["a", "b", "a"].map((name) => volumeKey(folder, "shop", name, used)));
    expect(keys[0]).toMatch(/^stackwarden-shop-a-[0-9a-f]{16}$/);
    expect(keys[0]).toBe(keys[2]);
    expect(keys[0]).not.toBe(keys[1]);
    expect(await volumeKey(folder, "shop", "a", { runnerHost: null })).not.toBe(keys[0]);
    expect(await volumeKey(folder, "shop", "a", { ...used, user: "71" })).toBe(keys[0]);
    expect(await volumeKey(folder, "shop", "__proto__", used)).toMatch(/__proto__-[0-9a-f]{16}$/);
    expect(statSync(join(folder, "dagger-volumes.json")).mode & 0o777).toBe(0o600);
  });

  it("what is forgotten has a new key, on every engine; what was not is kept", async () => {
    expect(await forgetVolumes(folder, ["a"])).toEqual([]);
    const [first, other] = [await volumeKey(folder, "shop", "a", used), await volumeKey(folder, "shop", "b", used)];
    await volumeKey(folder, "shop", "a", { runnerHost: null });
    const gone = await forgetVolumes(folder, ["a", "never"]);
    expect(gone).toHaveLength(2);
    expect(gone).toContainEqual({ key: first, ...used });
    expect(await volumeKey(folder, "shop", "a", used)).not.toBe(first);
    expect(await volumeKey(folder, "shop", "b", used)).toBe(other);
  });

  it("a damaged list is an error: a new key would lose the data silently", async () => {
    const path = join(folder, "dagger-volumes.json");
    writeFileSync(path, "{");
    await expect(volumeKey(folder, "shop", "a", used)).rejects.toMatchObject({ code: "STORAGE_FAILED" });
    expect(readFileSync(path, "utf8")).toBe("{");
    rmSync(path);
    mkdirSync(path);
    await expect(forgetVolumes(folder, ["a"])).rejects.toMatchObject({ code: "STORAGE_FAILED" });
  });
});
