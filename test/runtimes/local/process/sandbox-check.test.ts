import { chownSync, mkdirSync, statSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { inodeAt, systemFolders, verifyMounts } from "../../../../src/runtimes/local/process/sandbox-check.js";
import { tempDir } from "../support/fixture.js";

const isRoot = process.getuid?.() === 0;

describe.runIf(process.platform === "linux")("the check of a service's mounts", () => {
  let dir: ReturnType<typeof tempDir>;
  beforeEach(() => {
    dir = tempDir();
  });
  afterEach(() => dir.remove());
  const at = (path: string) => join(dir.path, path);
  const inodeOf = (path: string) => {
    const { dev, ino } = statSync(path, { bigint: true });
    return { dev, ino };
  };

  it("inodeAt follows links only in folders that only root can change", () => {
    mkdirSync(at("folder/inner"), { recursive: true });
    expect(inodeAt(at("folder/./inner"))).toEqual(inodeOf(at("folder/inner")));
    expect(inodeAt(at("absent"))).toBeNull();
    symlinkSync("folder", at("link"));
    symlinkSync(at("folder"), at("absolute"));
    if (!isRoot) return;
    expect(inodeAt(at("link/inner"))).toEqual(inodeOf(at("folder/inner")));
    expect(inodeAt(at("absolute"))).toEqual(inodeOf(at("folder")));
    symlinkSync("loop", at("loop"));
    expect(inodeAt(at("loop"))).toBeNull();
  });

  it.runIf(isRoot)("inodeAt refuses a link that another user can replace", () => {
    mkdirSync(at("theirs"));
    symlinkSync(at("theirs"), at("theirs/link"));
    expect(inodeAt(at("theirs/link"))).not.toBeNull();
    chownSync(at("theirs"), 200_001, 200_001);
    expect(inodeAt(at("theirs/link"))).toBeNull();
  });

  // The process of the test takes the place of the first process of a service's namespaces.
  const verify = (check: Partial<Parameters<typeof verifyMounts>[2]>) =>
    verifyMounts(process.pid, "/bin/server", { system: [], pins: [], targets: [], ...check });
  const refused = (path: string) =>
    expect.objectContaining({
      code: "POLICY_VIOLATION",
      message: `/bin/server was not started: ${path} was replaced by another folder or a link while it started.`,
      hint: "Find out which program replaces it, then start it again.",
      details: { path },
    });

  it("verifyMounts accepts the folders that are described", () => {
    mkdirSync(at("folder"));
    verify({ system: ["/usr", "/etc"], pins: [{ target: at("folder"), inode: inodeOf(at("folder")) }] });
  });

  it("verifyMounts refuses another folder, a missing one, and one that is no empty file system", () => {
    mkdirSync(at("folder"));
    const other = inodeOf("/");
    expect(() => verify({ pins: [{ target: at("folder"), inode: other }] })).toThrowError(refused(at("folder")));
    expect(() => verify({ pins: [{ target: at("gone"), inode: other }] })).toThrowError(refused(at("gone")));
    expect(() => verify({ pins: [{ target: "/usr", inode: null }] })).toThrowError(refused("/usr"));
    // A file that a program replaced is the machine's own again.
    verify({ pins: [{ target: at("folder"), inode: other, orMachines: true }] });
  });

  it("systemFolders are those of the program's libraries, where they exist", async () => {
    const folders = await systemFolders(process.execPath);
    expect(folders).toContain("/etc");
    expect(folders).not.toContain("/nonexistent");
    expect(await systemFolders("/nonexistent/program")).toContain("/etc");
  });
});
