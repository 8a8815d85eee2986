import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync, statfsSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { openStore, temporaryDirectory, texts, writeLines } from "./log-fixture.js";

const mounts: string[] = [];
afterEach(() => {
  for (const mount of mounts.splice(0)) execFileSync("umount", ["--lazy", mount]);
});

/** A file system of the given size. Undefined where this user cannot mount one. */
function smallDisk(bytes: number): string | undefined {
  const directory = join(temporaryDirectory(), "disk");
  mkdirSync(directory);
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${bytes}`, "none", directory], { stdio: "ignore" });
  } catch {
    return undefined;
  }
  mounts.push(directory);
  return directory;
}

describe("LogStore on a disk that cannot be written", () => {
  it("a full disk is reported once, lost lines are counted, and freed space is used again", async (context) => {
    const disk = smallDisk(256 * 1024);
    if (disk === undefined) return context.skip("needs the right to mount a tmpfs");
    const errors: NodeJS.ErrnoException[] = [];
    const directory = join(disk, "logs");
    const store = await openStore({ directory, ringBytes: 500_000, onSpoolError: (error) => errors.push(error) });
    for (let part = 0; part < 100; part += 1) {
      writeLines(store, "api", 200, part * 200 + 1);
      await store.flush();
    }
    expect(errors.map(({ code }) => code)).toEqual(["ENOSPC"]);
    expect(statfsSync(disk).bfree).toBeLessThan(20);
    const page = await store.query({ tail: 10_000, maxBytes: 1e9 });
    expect(texts(page).at(-1)).toBe("api line 20000");
    expect(page.line_count + (page.omitted?.lines ?? 0) + (page.dropped.api ?? 0)).toBe(20_000);
    expect(page.dropped.api).toBeGreaterThan(5000);

    rmSync(join(directory, "s-api"), { recursive: true });
    writeLines(store, "api", 1, 20_001);
    await store.flush();
    await store.flush();
    await store.close();
    const again = await openStore({ directory });
    expect(texts(await again.query({ tail: 3 }))).toEqual(["api line 19999", "api line 20000", "api line 20001"]);
    expect((await again.query({})).dropped.api).toBeGreaterThan(5000);
    expect(errors).toHaveLength(1);
  });

  it("a store whose folder cannot be created keeps lines in memory", async () => {
    const directory = join(temporaryDirectory(), "logs");
    writeFileSync(directory, "a file in the way");
    const errors: NodeJS.ErrnoException[] = [];
    const store = await openStore({ directory, onSpoolError: (error) => errors.push(error) });
    writeLines(store, "api", 300);
    await store.flush();
    expect(errors.map(({ code }) => code)).toEqual(["EEXIST"]);
    const { next_cursor: cursor } = await store.query({});
    writeLines(store, "api", 2, 301);
    expect(texts(await store.query({ cursor }))).toEqual(["api line 301", "api line 302"]);
    expect(store.stats("api")).toMatchObject({ lines: 302, dropped: 0 });
    expect(store.stats("api").bytes).toBeGreaterThan(302 * 96);
    await store.close();
    expect(statSync(directory).isFile()).toBe(true);
  });

  it("a failed write is not repeated before a pause", async () => {
    const directory = join(temporaryDirectory(), "logs");
    const store = await openStore({ directory });
    rmSync(directory, { recursive: true });
    writeFileSync(directory, "a file in the way");
    writeLines(store, "api", 20_000);
    await new Promise((resolve) => setTimeout(resolve, 150));
    writeLines(store, "api", 20_000);
    rmSync(directory);
    await new Promise((resolve) => setTimeout(resolve, 150));
    // During the pause after a failure nothing is written, and memory keeps every line.
    expect(() => statSync(join(directory, "s-api"))).toThrow("ENOENT");
    expect(store.stats("api")).toMatchObject({ lines: 40_000, dropped: 0 });
  });

  it("a service whose folder cannot be read does not hide other services", async () => {
    const directory = join(temporaryDirectory(), "logs");
    const first = await openStore({ directory });
    for (const service of ["api", "db"]) writeLines(first, service, 3);
    await first.close();
    rmSync(join(directory, "s-api"), { recursive: true });
    writeFileSync(join(directory, "s-api"), "a file in the way");
    const errors: NodeJS.ErrnoException[] = [];
    const store = await openStore({ directory, onSpoolError: (error) => errors.push(error) });
    expect(errors.map(({ code }) => code)).toEqual(["ENOTDIR"]);
    expect((await store.query({})).lines).toHaveLength(3);
    expect(store.lastGeneration("api")).toBe(1);
  });
});
