import {
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { giveFolderBeneath, makeFolderBeneath } from "../../src/system/make-folder-beneath.js";

describe("makeFolderBeneath", () => {
  let root: string;
  let project: string;
  beforeEach(() => {
    root = realpathSync(mkdtempSync(join(tmpdir(), "stackwarden-folder-")));
    project = join(root, "project");
    mkdirSync(project);
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  it("a folder is created with its missing parents, and an existing path stays unchanged", () => {
    expect(makeFolderBeneath(join(project, "a/b/c"), project)).toEqual(
      ["a", "a/b", "a/b/c"].map((path) => join(project, path)),
    );
    expect(statSync(join(project, "a/b/c")).mode & 0o777).toBe(0o755);
    expect(makeFolderBeneath(join(project, "a/b/c"), project)).toEqual([]);
    writeFileSync(join(project, "file"), "");
    expect(makeFolderBeneath(join(project, "file"), project)).toEqual([]);
  });

  it.skipIf(process.getuid?.() !== 0)("a folder has its parent's owner until giveFolderBeneath changes it", () => {
    chownSync(project, 2345, 2346);
    makeFolderBeneath(join(project, "a/b"), project);
    expect(statSync(join(project, "a/b"))).toMatchObject({ uid: 2345, gid: 2346 });
    giveFolderBeneath(join(project, "a/b"), project, { uid: 70, gid: 71 });
    expect(statSync(join(project, "a/b"))).toMatchObject({ uid: 70, gid: 71 });
    expect(statSync(join(project, "a"))).toMatchObject({ uid: 2345, gid: 2346 });
  });

  it("a folder is not created through a link that leads out of the project", () => {
    mkdirSync(join(root, "elsewhere"));
    symlinkSync(join(root, "elsewhere"), join(project, "link"));
    expect(() => makeFolderBeneath(join(project, "link/new"), project)).toThrow(/leads outside/);
    expect(existsSync(join(root, "elsewhere/new"))).toBe(false);
    expect(() => makeFolderBeneath(join(root, "elsewhere/new"), project)).toThrow(/leads outside/);
  });
});
