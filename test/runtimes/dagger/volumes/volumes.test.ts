/** Records of named volumes on engines, and their deletion. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createDaggerRuntime } from "../../../../src/runtimes/dagger/dagger-runtime.js";
import type { VolumeAccess } from "../../../../src/runtimes/dagger/volumes/access.js";
import {
  cacheVolume,
  deletedVolumes,
  forgetVolumes,
  volumeNames,
  volumesOn,
} from "../../../../src/runtimes/dagger/volumes/records.js";
import { removeVolumes } from "../../../../src/runtimes/dagger/volumes/remove.js";
import { restoreVolumes } from "../../../../src/runtimes/dagger/volumes/restore.js";
import { SETTINGS } from "../support/parts.js";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "stackwarden-build-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const ENGINE = "unix:///engine";

/** Engines that record the commands of their containers. `fails` names an engine, `breaks` a word of a failing command. */
function stubEngines() {
  const engines = { fails: "", breaks: "" };
  const done: string[] = [];
  const session = (engine: string) => {
    const container = (words: string[]): object => {
      const step = (...values: unknown[]) => container([...words, ...values.flat().map(String)]);
      return {
        from: step,
        exists: async (path: string) => path !== "/bin/tar" || !words.includes("distroless"),
        withUser: step,
        withMountedCache: (path: string, volume: string, { owner = "no owner" }) => step(path, volume, owner),
        withEnvVariable: () => container(words),
        withMountedFile: (_path: string, file: string) => step(file),
        withExec: step,
        sync: async () => {
          if (engines.breaks !== "" && words.some((word) => word.includes(engines.breaks))) throw new Error("broken");
          done.push([engine, ...words].join(" "));
        },
      };
    };
    const client = {
      container: () => container([]),
      cacheVolume: (name: string) => name,
      host: () => ({ file: (path: string) => basename(path) }),
    };
    return {
      client: () => client,
      ended: new AbortController().signal,
      close: async () => void done.push(`${engine} closed`),
    };
  };
  const openSession = async ({ runnerHost }: { runnerHost: string | null }) => {
    if (runnerHost === engines.fails) throw new Error("no engine here");
    return session(runnerHost ?? "") as never;
  };
  const bin = join(folder, "bin");
  mkdirSync(bin);
  writeFileSync(join(bin, "dagger"), "#!/bin/sh\necho dagger v0.21.8\n", { mode: 0o755 });
  const env = { PATH: `${bin}:/usr/bin:/bin` };
  const access: VolumeAccess = {
    projectId: "shop",
    stateDir: folder,
    env,
    openSession,
    fallbackImage: "node:20-alpine",
  };
  return Object.assign(engines, { done, env, openSession, access });
}

describe("volumes on engines", () => {
  const used = { owner: "70:70", image: "postgres:15" };

  const volume = (name: string, runnerHost: string | null = ENGINE, first: { owner?: string; image?: string } = used) =>
    cacheVolume(folder, { project: "shop", volume: name, runnerHost }, async () => first);
  const key = async (...words: Parameters<typeof volume>) => (await volume(...words)).key;

  it("a deleted volume is emptied on each engine, and a deletion that fails is repeated later", async () => {
    const [kept, data, built] = await Promise.all([
      key("kept"),
      key("data"),
      key("built", ENGINE, {}),
      key("data", "tcp://other:1"),
    ]);
    const other = (await volumesOn(folder, "tcp://other:1")).get("data")?.key;
    const engines = stubEngines();
    const { done, env, openSession, access } = engines;
    expect(await removeVolumes({ ...access, env: {} }, ["nothing"])).toEqual([]);
    engines.fails = "tcp://other:1";
    expect(await removeVolumes(access, ["data"])).toMatchObject([
      { engine: "tcp://other:1", reason: "Deleting it failed: no engine here." },
    ]);
    const empties = "/bin/sh -c find /stackwarden/volume -mindepth 1 -maxdepth 1 -exec rm -rf {} +";
    expect(done.splice(0)).toEqual([
      `unix:///engine postgres:15 root /stackwarden/volume ${data} 70:70 ${empties}`,
      "unix:///engine closed",
    ]);
    // The volume is forgotten although its deletion failed: the next stack gets an empty one on both engines.
    expect(await key("data", "tcp://other:1")).not.toBe(other);
    expect(await removeVolumes({ ...access, env: { PATH: "/nowhere" } }, [])).toEqual([
      expect.objectContaining({ reason: expect.stringMatching(/dagger/i) }),
    ]);
    engines.fails = "";
    expect(await removeVolumes(access, ["built"])).toEqual([]);
    expect(done.splice(0).sort()).toEqual([
      `tcp://other:1 closed`,
      `tcp://other:1 postgres:15 root /stackwarden/volume ${other} 70:70 ${empties}`,
      "unix:///engine closed",
      `unix:///engine node:20-alpine root /stackwarden/volume ${built} no owner ${empties}`,
    ]);
    expect(await deletedVolumes(folder)).toEqual([]);
    await key("bare", ENGINE, { image: "distroless" });
    expect(await removeVolumes(access, ["bare"])).toEqual([]);
    expect(done[0]).toContain("unix:///engine node:20-alpine root");
    expect(await key("kept")).toBe(kept);

    // A project is not forgotten when an engine that has its data does not answer at the first call.
    engines.fails = ENGINE;
    const warnings: string[] = [];
    const warn = (message: string): void => void warnings.push(message);
    const runtime = createDaggerRuntime({ settings: SETTINGS, env, warn, parts: { openSession } });
    await expect(runtime.removeProject("shop", folder)).rejects.toMatchObject({
      code: "RUNTIME_UNAVAILABLE",
      message:
        "The volumes of shop were not deleted: the engine unix:///engine still holds their content: Deleting it failed: no engine here.",
      hint: expect.stringContaining("the next call forgets the project"),
    });
    await runtime.removeVolumes("shop", folder, []);
    expect(warnings).toEqual([
      expect.stringMatching(/^shop: .*still holds their content: Deleting it failed: no engine here\.$/),
    ]);
    // The engine may no longer exist: the second call forgets the project without it.
    expect(await runtime.removeProject("shop", folder)).toEqual([
      "Volumes were not deleted: the engine unix:///engine still holds their content: Deleting it failed: no engine here.",
    ]);
    engines.fails = "";
    expect(await runtime.removeProject("shop", folder)).toEqual([]);
    expect(await deletedVolumes(folder)).toEqual([]);
  });

  it("volumes of a failed restore are deleted later, and a failed deletion does not fail a restore", async () => {
    const engines = stubEngines();
    const { done, access } = engines;
    for (const name of ["one", "two"]) {
      writeFileSync(join(folder, `${name}.tar`), "");
      writeFileSync(join(folder, `${name}.json`), JSON.stringify(used));
    }
    const before = await key("one");
    const request = {
      projectId: "shop",
      stateDir: folder,
      volumes: ["one", "two"],
      signal: AbortSignal.timeout(9_000),
    };
    const restore = () => restoreVolumes(access, ENGINE, request, folder);
    engines.breaks = "two.tar";
    await expect(restore()).rejects.toMatchObject({
      code: "RUNTIME_UNAVAILABLE",
      message: "Restoring the volume two failed: broken.",
    });
    expect(await key("one")).toBe(before);
    engines.breaks = "";
    const filled = done.splice(0).find((line) => line.includes("one.tar"));
    expect(await removeVolumes(access, [])).toEqual([]);
    const emptied = done.splice(0).filter((line) => line.includes("rm -rf"));
    expect(emptied).toHaveLength(2);
    expect(emptied.some((line) => line.includes(filled?.split(" ")[4] ?? "no key"))).toBe(true);

    engines.breaks = "-exec";
    expect(await restore()).toMatchObject([{ engine: ENGINE, records: [{ key: before }] }]);
    expect(await key("one")).not.toBe(before);
    expect((await deletedVolumes(folder)).map((record) => record.key)).toEqual([before]);
  });

  it("a volume has one key on each engine, stored in a file that only its owner can read", async () => {
    const keys = await Promise.all(["a", "b", "a"].map((name) => key(name)));
    expect(keys[0]).toMatch(/^stackwarden-shop-a-[0-9a-f]{16}$/);
    expect(keys[0]).toBe(keys[2]);
    expect(keys[0]).not.toBe(keys[1]);
    expect(await key("a", null)).not.toBe(keys[0]);
    expect(await key("__proto__")).toMatch(/__proto__-[0-9a-f]{16}$/);
    expect(statSync(join(folder, "dagger-volumes.json")).mode & 0o777).toBe(0o600);
  });

  it("a volume keeps the owner with which it was created", async () => {
    const path = join(folder, "dagger-volumes.json");
    writeFileSync(path, JSON.stringify({ [`old@${ENGINE}`]: { key: "k", user: "postgres", runnerHost: ENGINE } }));
    expect(await volume("old")).toEqual({ key: "k", owner: "postgres", runnerHost: ENGINE });
    await volume("new");
    expect(await volume("new", ENGINE, { owner: "71:71" })).toMatchObject(used);
    expect((await volumesOn(folder, ENGINE)).get("old")).toMatchObject({ owner: "postgres" });
  });

  it("a forgotten volume gets a new key on every engine, and other volumes keep theirs", async () => {
    await forgetVolumes(folder, ["a"]);
    expect(await deletedVolumes(folder)).toEqual([]);
    const [first, other] = [await key("a"), await key("b")];
    await key("a", null);
    await forgetVolumes(folder, ["a", "never"]);
    expect(await deletedVolumes(folder)).toHaveLength(2);
    expect(await deletedVolumes(folder)).toContainEqual({ key: first, runnerHost: ENGINE, ...used });
    expect(await volumeNames(folder)).toEqual(["b"]);
    expect(await key("a")).not.toBe(first);
    expect(await key("b")).toBe(other);
  });

  it("a damaged record is an error and stays unchanged", async () => {
    const path = join(folder, "dagger-volumes.json");
    writeFileSync(path, "{");
    await expect(volume("a")).rejects.toMatchObject({ code: "STORAGE_FAILED" });
    expect(readFileSync(path, "utf8")).toBe("{");
    rmSync(path);
    mkdirSync(path);
    await expect(forgetVolumes(folder, ["a"])).rejects.toMatchObject({ code: "STORAGE_FAILED" });
  });
});
