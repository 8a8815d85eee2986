import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { copyTree } from "../../../../src/runtimes/local/files/copy-tree.js";
import { ensureDir, linkInCopy, privateDirs } from "../../../../src/runtimes/local/files/create.js";
import { readOwnFile } from "../../../../src/runtimes/local/files/read.js";
import { isReadableFolder } from "../../../../src/runtimes/local/files/readable.js";
import { removeTree } from "../../../../src/runtimes/local/files/remove-tree.js";
import { treeSize } from "../../../../src/runtimes/local/files/tree-size.js";
import { tempDir } from "../support/fixture.js";

const isRoot = process.getuid?.() === 0;

describe("files of the state directory", () => {
  let dir: ReturnType<typeof tempDir>;
  beforeEach(() => {
    dir = tempDir();
  });
  afterEach(() => dir.remove());
  const at = (path: string) => join(dir.path, path);
  const deep = (depth: number) => mkdirSync(at(`deep/${Array(depth).fill("d").join("/")}`), { recursive: true });

  it("readOwnFile reads regular files of bounded size, and nothing else", async () => {
    writeFileSync(at("file"), "text");
    mkdirSync(at("folder"));
    symlinkSync("file", at("link"));
    expect(await readOwnFile(dir.path, "file")).toBe("text");
    expect(await readOwnFile(dir.path, "file", 3)).toBeNull();
    for (const name of ["folder", "link", "absent"]) expect(await readOwnFile(dir.path, name)).toBeNull();
    for (const folder of ["absent", "file", "link"]) expect(await readOwnFile(at(folder), "x")).toBeNull();
  });

  it("treeSize counts files, and a tree that is nested too deeply is larger than every limit", async () => {
    mkdirSync(at("deep"));
    writeFileSync(at("deep/file"), "x".repeat(8192));
    expect(await treeSize(at("deep"))).toBeGreaterThanOrEqual(8192);
    deep(102);
    expect(await treeSize(at("deep"))).toBe(Number.POSITIVE_INFINITY);
  });

  const copy = (fields: Partial<Parameters<typeof copyTree>[0]> = {}) =>
    copyTree({
      from: at("from"),
      to: at("to"),
      user: { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 },
      exclude: () => false,
      limits: { entries: 1000, bytes: 1000, milliseconds: 60_000 },
      tooLarge: (what) => new Error(`too large: ${what}`),
      ...fields,
    });

  it("copyTree stops at its limits, and says which one was reached", async () => {
    mkdirSync(at("from"));
    for (const name of ["a", "b", "c"]) writeFileSync(at(`from/${name}`), "x".repeat(300));
    expect(await copy()).toBe(3);
    const limits = { entries: 1000, bytes: 1000, milliseconds: 60_000 };
    await expect(copy({ to: at("two"), limits: { ...limits, entries: 2 } })).rejects.toThrow("too large: entries");
    await expect(copy({ to: at("three"), limits: { ...limits, bytes: 500 } })).rejects.toThrow("too large: bytes");
    await expect(copy({ to: at("four"), limits: { ...limits, milliseconds: -1 } })).rejects.toThrow(
      "too large: milliseconds",
    );
    mkdirSync(at(`from/${Array(202).fill("d").join("/")}`), { recursive: true });
    await expect(copy({ to: at("five") })).rejects.toThrow("too large: depth");
  });

  it("copyTree leaves out names that are no text", async () => {
    mkdirSync(at("from"));
    writeFileSync(Buffer.concat([Buffer.from(at("from/bad-")), Buffer.from([0xff])]), "");
    writeFileSync(at("from/good"), "");
    expect(await copy()).toBe(1);
    expect(readdirSync(at("to"))).toEqual(["good"]);
  });

  it("removeTree removes names that are no text", async () => {
    mkdirSync(at("tree"));
    writeFileSync(Buffer.concat([Buffer.from(at("tree/bad-")), Buffer.from([0xff])]), "");
    await removeTree(at("tree"), dir.path);
    expect(existsSync(at("tree"))).toBe(false);
    // What does not exist is removed.
    await removeTree(at("absent/tree"), dir.path);
  });

  it("removeTree refuses the root and everything outside of it, and a folder that was replaced by a link", async () => {
    for (const path of [dir.path, join(dir.path, ".."), "/etc"])
      await expect(removeTree(path, dir.path)).rejects.toMatchObject({
        code: "STORAGE_FAILED",
        message: `${path} is not below ${dir.path}: not removed.`,
      });
    mkdirSync(at("elsewhere/tree"), { recursive: true });
    symlinkSync("elsewhere", at("link"));
    await expect(removeTree(at("link/tree"), dir.path)).rejects.toMatchObject({
      code: "STORAGE_FAILED",
      message: expect.stringContaining(`${at("link")} is not a directory: nothing was removed.`),
    });
    expect(existsSync(at("elsewhere/tree"))).toBe(true);
  });

  it("linkInCopy refuses a place that is no folder of the copy", async () => {
    mkdirSync(at("copy"));
    writeFileSync(at("copy/web"), "");
    await expect(linkInCopy(at("copy"), "web/node_modules", new Map(), { uid: 0, gid: 0 })).rejects.toMatchObject({
      code: "STORAGE_FAILED",
      message: "web changed while it was copied.",
      hint: "Call again when the project's folder no longer changes.",
    });
  });

  it("ensureDir refuses a file and a link in place of the folder", async () => {
    writeFileSync(at("file"), "");
    symlinkSync(dir.path, at("link"));
    for (const name of ["file", "link"])
      await expect(ensureDir(at(name), 0o700)).rejects.toMatchObject({ code: "STORAGE_FAILED" });
  });

  it.runIf(isRoot)("the home folder of a service's former user becomes that of its user", async () => {
    const user = (uid: number) => ({ uid, gid: uid, name: "web", enforcement: { level: "none", reason: "" } }) as const;
    const { home, base } = await privateDirs(dir.path, "web", user(200_001));
    writeFileSync(join(home, "file"), "");
    chownSync(join(home, "file"), 200_001, 200_001);
    writeFileSync(join(base, "rest"), "");
    await privateDirs(dir.path, "web", user(200_002));
    expect([statSync(home).uid, statSync(join(home, "file")).uid]).toEqual([200_002, 200_002]);
    expect(readdirSync(base).sort()).toEqual(["home", "tmp"]);
  });

  it.runIf(isRoot)("isReadableFolder goes by the permission bits of owner, group and others", async () => {
    const user = { uid: 200_001, gid: 200_002 };
    const readable = () => isReadableFolder(at("folder"), dir.path, user, (name) => name === "skipped");
    expect(await readable()).toBe(false);
    mkdirSync(at("folder"));
    chmodSync(at("folder"), 0o700);
    expect(await readable()).toBe(false);
    chownSync(at("folder"), 200_001, 0);
    expect(await readable()).toBe(true);
    chownSync(at("folder"), 0, 200_002);
    expect(await readable()).toBe(false);
    chmodSync(at("folder"), 0o750);
    expect(await readable()).toBe(true);
    symlinkSync("/nonexistent", at("folder/link"));
    writeFileSync(at("folder/skipped"), "", { mode: 0o600 });
    expect(await readable()).toBe(true);
    writeFileSync(at("folder/file"), "", { mode: 0o600 });
    expect(await readable()).toBe(false);
    chmodSync(at("folder/file"), 0o604);
    expect(await readable()).toBe(true);
    mkdirSync(at("folder/inner"));
    chmodSync(at("folder/inner"), 0o704);
    expect(await readable()).toBe(false);
  });
});
