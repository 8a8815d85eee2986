/** Copies of the local runtime's volumes, and restores from them. */
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { copyVolumes, recoverRestores, restoreVolumes } from "../../../../src/runtimes/local/files/copy-volumes.js";
import { tempDir } from "../support/fixture.js";

const isRoot = process.getuid?.() === 0;

describe("copies of volumes on the local runtime", () => {
  let dir: ReturnType<typeof tempDir>;
  let stateDir: string;
  let archive: string;
  const volume = (name: string, ...path: string[]): string => join(stateDir, "volumes", name, ...path);
  const copy = (fields: { maxBytes?: number; signal?: AbortSignal; volumes?: string[] } = {}) =>
    copyVolumes(
      {
        projectId: "shop",
        stateDir,
        volumes: ["data", "other"],
        signal: new AbortController().signal,
        maxBytes: 1e9,
        ...fields,
      },
      archive,
    );
  const restore = (signal = new AbortController().signal, volumes = ["data", "other"]) =>
    restoreVolumes({ projectId: "shop", stateDir, volumes, signal }, archive);

  beforeEach(() => {
    dir = tempDir();
    stateDir = join(dir.path, "state");
    archive = join(dir.path, "archive");
    mkdirSync(archive, { mode: 0o700 });
    mkdirSync(volume("data", "pgdata", "base"), { recursive: true });
    writeFileSync(volume("data", "pgdata", "base", "1"), "row");
    writeFileSync(volume("data", "pgdata", "postmaster.pid"), "123\n");
    chmodSync(volume("data", "pgdata"), 0o700);
  });
  afterEach(() => dir.remove());

  it("a copy keeps content, owner, mode, time and links, and omits pipes and postmaster.pid", async () => {
    writeFileSync(volume("data", "script"), "#!/bin/sh\n", { mode: 0o750 });
    utimesSync(volume("data", "script"), 1000, 2000);
    symlinkSync("/etc/passwd", volume("data", "link"));
    execFileSync("mkfifo", [volume("data", "pipe")]);
    if (isRoot) execFileSync("chown", ["-R", "-h", "71234:71234", volume("data")]);
    expect(await copy()).toEqual({ data: 13 });
    expect(readdirSync(join(archive, "data")).sort()).toEqual(["link", "pgdata", "script"]);
    expect(readdirSync(join(archive, "data", "pgdata"))).toEqual(["base"]);
    writeFileSync(volume("data", "pgdata", "base", "1"), "changed");
    await restore();
    expect(readFileSync(volume("data", "pgdata", "base", "1"), "utf8")).toBe("row");
    expect(readlinkSync(volume("data", "link"))).toBe("/etc/passwd");
    const { mode, mtimeMs, uid } = lstatSync(volume("data", "script"));
    expect([mode & 0o7777, mtimeMs]).toEqual([0o750, 2_000_000]);
    if (isRoot) expect([uid, lstatSync(volume("data", "link")).uid]).toEqual([71_234, 71_234]);
    expect(existsSync(volume("data", "pgdata", "postmaster.pid"))).toBe(false);
  });

  it("a restore removes a volume that had no data at the time of the copy", async () => {
    expect(await copy()).toEqual({ data: 3 });
    mkdirSync(volume("other"));
    writeFileSync(volume("other", "later"), "x");
    await restore();
    expect(readdirSync(join(stateDir, "volumes"))).toEqual(["data"]);
  });

  it("a copy above its size limit is refused, and so are volume names that contain a path", async () => {
    await expect(copy({ maxBytes: 2 })).rejects.toMatchObject({ code: "SNAPSHOT_TOO_LARGE" });
    await expect(copy({ volumes: ["../data"] })).rejects.toMatchObject({ code: "INVALID_INPUT" });
    await expect(restore(undefined, ["../data"])).rejects.toMatchObject({ code: "INVALID_INPUT" });
  });

  it("a cancelled restore changes nothing and leaves no temporary folder", async () => {
    await copy();
    writeFileSync(volume("data", "pgdata", "base", "1"), "present");
    await expect(restore(AbortSignal.abort(new Error("cancelled")))).rejects.toThrow("cancelled");
    expect(readFileSync(volume("data", "pgdata", "base", "1"), "utf8")).toBe("present");
    expect(readdirSync(join(stateDir, "volumes"))).toEqual(["data"]);
  });

  it("recoverRestores undoes a restore that a killed server left unfinished", async () => {
    mkdirSync(volume("b"));
    mkdirSync(volume(".fresh-abc"));
    mkdirSync(volume(".former-b"));
    renameSync(volume("data"), volume(".former-data"));
    await recoverRestores(stateDir);
    expect(readdirSync(join(stateDir, "volumes")).sort()).toEqual(["b", "data"]);
    expect(readFileSync(volume("data", "pgdata", "base", "1"), "utf8")).toBe("row");
    await recoverRestores(join(dir.path, "nowhere"));
  });

  it.skipIf(!isRoot || process.platform !== "linux")(
    "a copy or restore on a full disk fails with STORAGE_FAILED and changes no volume",
    async () => {
      const disk = join(dir.path, "disk");
      mkdirSync(disk);
      execFileSync("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", disk]);
      try {
        writeFileSync(volume("data", "large"), Buffer.alloc(2_000_000, 1));
        archive = join(disk, "archive");
        mkdirSync(archive);
        await expect(copy()).rejects.toMatchObject({
          code: "STORAGE_FAILED",
          message: expect.stringContaining("ENOSPC"),
        });
        // A restore needs space beside the current data.
        archive = join(dir.path, "archive");
        await copy();
        stateDir = join(disk, "state");
        mkdirSync(volume("data"), { recursive: true });
        writeFileSync(volume("data", "present"), "x");
        await expect(restore()).rejects.toMatchObject({ code: "STORAGE_FAILED" });
        expect(readdirSync(volume("data"))).toEqual(["present"]);
        expect(readdirSync(join(stateDir, "volumes"))).toEqual(["data"]);
      } finally {
        execFileSync("umount", ["-l", disk]);
      }
    },
  );
});
