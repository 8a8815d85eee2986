import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  existing,
  foldersBetween,
  isSystem,
  mountPlace,
  replaceFolder,
} from "../../../../src/runtimes/local/process/mount-places.js";
import { tempDir } from "../support/fixture.js";

const isRoot = process.getuid?.() === 0;

describe("mountPlace", () => {
  let dir: ReturnType<typeof tempDir>;
  beforeEach(() => {
    dir = tempDir();
  });
  afterEach(() => dir.remove());
  const at = (path: string) => join(dir.path, path);

  it("a service sees no mount over the programs, libraries and settings of the machine", async () => {
    for (const path of ["/", "/usr/lib/x", "/etc", "/proc/1", "/var/lib", "/run/secrets", "relative"])
      expect(await mountPlace(path, [], [])).toBeNull();
    expect(isSystem("/usr/src/app")).toBe(false);
  });

  it("a mount does not cover what the service needs", async () => {
    expect(await mountPlace("/srv", ["/srv/project"], [])).toBeNull();
    expect(await mountPlace("/srv/", ["/srv"], [])).toBeNull();
  });

  it("everything can be created in a folder that is empty in the namespaces", async () => {
    expect(await mountPlace(at("a/b/../c/"), [], [dir.path])).toBe(at("a/c"));
  });

  it("an existing folder is shown at its path without links, and one of the system is not", async () => {
    mkdirSync(at("folder"));
    symlinkSync(at("folder"), at("link"));
    symlinkSync("/etc", at("settings"));
    expect(await mountPlace(at("folder"), [], [])).toBe(at("folder"));
    expect(await mountPlace(at("link"), [], [])).toBe(at("folder"));
    expect(await mountPlace(at("settings"), [], [])).toBeNull();
  });

  it.runIf(isRoot)("a missing path is shown below a folder that only root can change, with few entries", async () => {
    const place = () => mountPlace(at("absent/data"), [], []);
    expect(await place()).toBe(at("absent/data"));
    chmodSync(dir.path, 0o777);
    expect(await place()).toBeNull();
    chmodSync(dir.path, 0o755);
    for (let one = 0; one < 129; one += 1) writeFileSync(at(`file-${one}`), "");
    expect(await place()).toBeNull();
  });

  it("existing is the path, or the first folder above it", () => {
    expect(existing(at("a/b"))).toBe(dir.path);
    expect(existing("/stackwarden-absent/data")).toBe("/");
    expect(foldersBetween("/srv", "/srv/a/b/c")).toEqual(["/srv/a", "/srv/a/b"]);
    expect(foldersBetween("/srv", "/srv/a")).toEqual([]);
  });

  it("replaceFolder shows the entries of a folder, and its links as links", () => {
    mkdirSync(at("one"), { mode: 0o750 });
    mkdirSync(at("one/inner"));
    symlinkSync("inner", at("one/link"));
    const args = replaceFolder(at("one"), false);
    expect(args.slice(0, 4)).toEqual(["--perms", "750", "--tmpfs", at("one")]);
    expect(args.join(" ")).toContain(`--bind-try ${at("one/inner")} ${at("one/inner")}`);
    expect(args.join(" ")).toContain(`--symlink inner ${at("one/link")}`);
    expect(replaceFolder(at("one"), true)).toContain("--ro-bind-try");
    const root = replaceFolder("/", false);
    expect(root).not.toContain("--tmpfs");
    expect(root).not.toContain("/proc");
  });
});
