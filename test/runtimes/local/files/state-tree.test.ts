import {
  chownSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { StackwardenError } from "../../../../src/errors.js";
import { ensureDir, privateDirs, writePrivateFile } from "../../../../src/runtimes/local/files/create.js";
import { ensureMountPoint, removeMountPoints } from "../../../../src/runtimes/local/files/mount-point.js";
import { chownTree, claimTree, shareTree } from "../../../../src/runtimes/local/files/own-tree.js";
import { removeTree } from "../../../../src/runtimes/local/files/remove-tree.js";
import { storageFailure, withStorage } from "../../../../src/runtimes/local/files/storage.js";
import { FIRST_UID } from "../../../../src/runtimes/local/process/user-range.js";
import { isRootServer } from "../../../../src/system/root-server.js";
import { tempDir } from "../support/fixture.js";

const user = { uid: 71_234, gid: 71_234, name: "one", enforcement: { level: "none" as const, reason: "test" } };
const system = (code: string) => Object.assign(new Error(code), { code });

describe("mount points in a project's folder", () => {
  const dir = tempDir();
  const [project, state] = [join(dir.path, "project"), join(dir.path, "state")];
  afterAll(() => dir.remove());

  it("removeMountPoints removes the empty folders that the server created, and no others", async () => {
    for (const folder of ["api", "web", "old/node_modules"]) mkdirSync(join(project, folder), { recursive: true });
    mkdirSync(state);
    const modules = (folder: string) => join(project, folder, "node_modules");
    for (const folder of ["api", "web", "old"])
      for (let start = 1; start <= 2; start += 1)
        expect(await ensureMountPoint(join(project, folder), "node_modules", project, state)).toBe(modules(folder));
    const outer = await ensureMountPoint(project, "cache", project, state);
    await ensureMountPoint(outer, "inner", project, state);
    writeFileSync(join(modules("web"), "kept"), "");
    await removeMountPoints(state);
    expect([modules("api"), outer].filter(existsSync)).toEqual([]);
    expect([modules("web"), modules("old")].every(existsSync)).toBe(true);
    await removeMountPoints(state);
  });

  it("removeMountPoints does not follow a link that replaces a parent folder", async () => {
    const outside = join(dir.path, "outside");
    mkdirSync(join(outside, "node_modules"), { recursive: true });
    const folder = join(project, "linked");
    mkdirSync(folder);
    await ensureMountPoint(folder, "node_modules", project, state);
    rmSync(folder, { recursive: true });
    symlinkSync(outside, folder);
    await removeMountPoints(state);
    expect(existsSync(join(outside, "node_modules"))).toBe(true);
  });
});

describe("directories of the state tree", () => {
  const dir = tempDir();
  const at = (name: string) => join(dir.path, name);
  afterAll(() => dir.remove());

  it("ensureDir creates a directory with its mode and owner and corrects an existing one", async () => {
    await ensureDir(at("a/b/c"), 0o700, user);
    expect(statSync(at("a/b/c")).mode & 0o7777).toBe(0o700);
    expect(statSync(at("a/b/c")).uid).toBe(isRootServer() ? user.uid : process.getuid?.());
    await ensureDir(at("a/b/c"), 0o711);
    expect(statSync(at("a/b/c")).mode & 0o7777).toBe(0o711);
    expect(statSync(at("a/b/c")).uid).toBe(process.getuid?.());
  });

  it("ensureDir refuses a link or a file at its path", async () => {
    mkdirSync(at("elsewhere"));
    symlinkSync(at("elsewhere"), at("link"));
    writeFileSync(at("file"), "");
    await expect(ensureDir(at("link"), 0o700, user)).rejects.toMatchObject({ code: "STORAGE_FAILED" });
    await expect(ensureDir(at("file"), 0o700)).rejects.toMatchObject({ code: "STORAGE_FAILED" });
    await expect(ensureDir(at("file/below"), 0o700)).rejects.toMatchObject({ code: "STORAGE_FAILED" });
    expect(statSync(at("elsewhere")).uid).toBe(process.getuid?.());
  });

  it.runIf(isRootServer())("chownTree changes the owner of a whole tree and follows no link", async () => {
    mkdirSync(at("tree/inner"), { recursive: true });
    mkdirSync(at("outside"));
    writeFileSync(at("outside/file"), "");
    writeFileSync(at("tree/inner/file"), "");
    symlinkSync(at("outside"), at("tree/inner/link"));
    await chownTree(at("tree"), user);
    expect([at("tree"), at("tree/inner"), at("tree/inner/file")].map((path) => statSync(path).uid)).toEqual([
      71_234, 71_234, 71_234,
    ]);
    symlinkSync(at("outside"), at("top"));
    await expect(chownTree(at("top"), user)).rejects.toMatchObject({ code: expect.stringMatching(/ENOTDIR|ELOOP/) });
    expect([at("outside"), at("outside/file")].map((path) => statSync(path).uid)).toEqual([0, 0]);
  });

  it.runIf(isRootServer())(
    "shareTree gives a tree to a group of services, and claimTree returns it to one service",
    async () => {
      const [one, two] = [FIRST_UID, FIRST_UID + 1];
      const group = FIRST_UID + 2;
      mkdirSync(at("volume/inner"), { recursive: true, mode: 0o700 });
      writeFileSync(at("volume/inner/script"), "", { mode: 0o700 });
      writeFileSync(at("volume/inner/former"), "", { mode: 0o640 });
      for (const path of ["volume", "volume/inner", "volume/inner/script"]) chownSync(at(path), one, one);
      chownSync(at("volume/inner/former"), FIRST_UID + 9, FIRST_UID + 9);
      const owned = (path: string) => {
        const { uid, gid, mode } = statSync(at(path));
        return [uid, gid, (mode & 0o7777).toString(8)];
      };
      await shareTree(at("volume"), [one, two], group);
      expect(owned("volume")).toEqual([one, group, "2770"]);
      expect(owned("volume/inner")).toEqual([one, group, "2770"]);
      expect(owned("volume/inner/script")).toEqual([one, group, "770"]);
      expect(owned("volume/inner/former")).toEqual([one, group, "660"]);
      chownSync(at("volume/inner/former"), two, group);
      await claimTree(at("volume"), { uid: two, gid: two });
      for (const path of ["volume", "volume/inner", "volume/inner/script", "volume/inner/former"])
        expect(owned(path).slice(0, 2)).toEqual([two, two]);
      expect(owned("volume")[2]).toBe("700");
    },
  );

  it.runIf(isRootServer())(
    "shareTree and claimTree refuse a file of root and a file with another hard link",
    async () => {
      const uid = FIRST_UID;
      for (const [name, owner] of [
        ["roots", 0],
        ["linked", FIRST_UID + 5],
      ] as const) {
        mkdirSync(at(`${name}/volume`), { recursive: true });
        writeFileSync(at(`${name}/file`), "");
        chownSync(at(`${name}/file`), owner, owner);
        linkSync(at(`${name}/file`), at(`${name}/volume/file`));
        await expect(shareTree(at(`${name}/volume`), [uid], uid + 2)).rejects.toMatchObject({ code: "STORAGE_FAILED" });
        await expect(claimTree(at(`${name}/volume`), { uid, gid: uid })).rejects.toMatchObject({
          code: "STORAGE_FAILED",
        });
        expect(statSync(at(`${name}/file`)).uid).toBe(owner);
      }
    },
  );

  it("removeTree refuses the root and paths outside of it, and follows no link", async () => {
    mkdirSync(at("root/one/two"), { recursive: true });
    mkdirSync(at("kept"));
    writeFileSync(at("kept/file"), "");
    symlinkSync(at("kept"), at("root/way"));
    for (const path of [at("root"), at("kept"), dir.path, join(at("root"), "..", "kept")]) {
      await expect(removeTree(path, at("root"))).rejects.toMatchObject({ code: "STORAGE_FAILED" });
    }
    await expect(removeTree(at("root/way/file"), at("root"))).rejects.toMatchObject({
      code: "STORAGE_FAILED",
      message: expect.stringContaining("not a directory"),
    });
    await removeTree(at("root/way"), at("root"));
    await removeTree(at("root/one"), at("root"));
    await removeTree(at("root/absent/deeper"), at("root"));
    expect(readdirSync(at("root"))).toEqual([]);
    expect(existsSync(at("kept/file"))).toBe(true);
    await expect(removeTree(at("kept/file/x/y"), at("kept"))).rejects.toMatchObject({ code: "STORAGE_FAILED" });
  });

  it("privateDirs keeps a service's home folder and empties its tmp folder", async () => {
    const first = await privateDirs(at("state"), "web", user);
    writeFileSync(join(first.home, "kept"), "");
    writeFileSync(join(first.tmp, "lost"), "");
    const second = await privateDirs(at("state"), "web", user);
    expect(second).toEqual(first);
    expect([readdirSync(second.home), readdirSync(second.tmp)]).toEqual([["kept"], []]);
    expect([second.home, second.tmp, second.base].map((path) => statSync(path).mode & 0o777)).toEqual([
      0o700, 0o700, 0o711,
    ]);
    if (isRootServer()) expect(statSync(second.base).uid).toBe(0);
  });
});

describe("writePrivateFile", () => {
  const dir = tempDir();
  const at = (name: string) => join(dir.path, name);
  beforeAll(() => writeFileSync(at("target"), "untouched"));
  afterAll(() => dir.remove());

  it("writePrivateFile replaces a file or link and gives the new file only to its owner", async () => {
    symlinkSync(at("target"), at("secret"));
    await writePrivateFile(at("secret"), "value", user);
    expect(readFileSync(at("secret"), "utf8")).toBe("value");
    expect(readFileSync(at("target"), "utf8")).toBe("untouched");
    expect(lstatSync(at("secret")).mode & 0o777).toBe(0o600);
    if (isRootServer()) expect(lstatSync(at("secret")).uid).toBe(user.uid);
    expect(readdirSync(dir.path).sort()).toEqual(["secret", "target"]);
  });

  it("writePrivateFile leaves no temporary file when its path cannot be written", async () => {
    await expect(writePrivateFile(at("absent/file"), "x")).rejects.toMatchObject({ code: "STORAGE_FAILED" });
    mkdirSync(at("dir"));
    await expect(writePrivateFile(at("dir"), "x")).rejects.toMatchObject({ code: "STORAGE_FAILED" });
    expect(readdirSync(dir.path).sort()).toEqual(["dir", "secret", "target"]);
  });

  it.runIf(isRootServer())("writePrivateFile leaves no file when the owner cannot be set", async () => {
    await expect(writePrivateFile(at("bad"), "x", { uid: -2, gid: -2 })).rejects.toThrow();
    expect(existsSync(at("bad"))).toBe(false);
    expect(readdirSync(dir.path).filter((name) => name.startsWith("bad"))).toEqual([]);
    chownSync(at("dir"), 0, 0);
  });
});

describe("storage failures", () => {
  it.each([
    ["ENOSPC", /full/],
    ["EACCES", /writable/],
    ["EIO", /Check/],
  ])("withStorage turns %s into STORAGE_FAILED with a specific hint", async (code, hint) => {
    await expect(
      withStorage("Writing", async () => {
        throw system(code);
      }),
    ).rejects.toMatchObject({
      code: "STORAGE_FAILED",
      message: `Writing failed (${code}).`,
      hint: expect.stringMatching(hint),
    });
  });

  it("storageFailure returns errors unchanged that the system did not report", () => {
    const known = new StackwardenError("INTERNAL", "x");
    const bug = new TypeError("bug");
    for (const error of [known, bug, "text", null]) expect(storageFailure(error, "Doing")).toBe(error);
  });
});
