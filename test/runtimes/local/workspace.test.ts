import { execFileSync } from "node:child_process";
import {
  chmodSync,
  type Dirent,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { copyTree } from "../../../src/runtimes/local/files/copy-tree.js";
import { prepareWorkspace } from "../../../src/runtimes/local/workspace.js";
import { DirectHost } from "./support/direct-host.js";
import { tempDir } from "./support/fixture.js";

const isRoot = process.getuid?.() === 0;

describe("prepareWorkspace", () => {
  let dir: ReturnType<typeof tempDir>;
  let folder: string;
  let stateDir: string;
  const host = new DirectHost();
  const file = (path: string, text = "") => {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  };
  const prepare = async (fields: { workingDir?: string; copyBecause?: string } = {}) =>
    prepareWorkspace({
      folder,
      workingDir: join(folder, "app"),
      stateDir,
      service: "web",
      user: await host.userFor("test", "web"),
      host,
      ...fields,
    });

  beforeEach(() => {
    dir = tempDir();
    folder = join(dir.path, "project");
    stateDir = join(dir.path, "state/projects/test");
    mkdirSync(stateDir, { recursive: true });
    file("app/main.py", "print(1)");
  });
  afterEach(() => dir.remove());

  it("a service runs in the project's folder when its user can read it", async () => {
    file("app/.private");
    chmodSync(join(folder, "app/.private"), 0o600);
    expect(await prepare()).toEqual({ root: folder, cwd: join(folder, "app"), copied: false, notes: [] });
    expect(readdirSync(stateDir)).toEqual([]);
  });

  it.runIf(isRoot)("a service runs on a copy when its user cannot read the folder or a file in it", async () => {
    chmodSync(join(folder, "app/main.py"), 0o600);
    const first = await prepare();
    expect(first.copied).toBe(true);
    expect(first.notes[0]).toMatch(/copy.*chmod o\+rX.*Restart/);
    chmodSync(join(folder, "app/main.py"), 0o644);
    expect((await prepare()).copied).toBe(false);
    chmodSync(folder, 0o700);
    const { uid } = await host.userFor("test", "web");
    const { cwd, root } = await prepare();
    expect(statSync(join(cwd, "main.py")).uid).toBe(uid);
    expect(statSync(root).mode & 0o777).toBe(0o700);
    const read = execFileSync("/bin/cat", [join(cwd, "main.py")], { uid, gid: uid, encoding: "utf8" });
    expect(read).toBe("print(1)");
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    expect(statSync(join(folder, "app/main.py")).uid).toBe(0);
  });

  it("a copy omits history, dependencies, .env of the project, pipes and links that lead outside", async () => {
    for (const path of [".git/HEAD", "app/node_modules/x.js", ".venv/bin/python", "app/__pycache__/a.pyc", ".env"])
      file(path);
    file("app/.env", "KEPT=1");
    file("run.sh", "#!/bin/sh");
    chmodSync(join(folder, "run.sh"), 0o755);
    symlinkSync("main.py", join(folder, "app/link.py"));
    symlinkSync("../../../etc/passwd", join(folder, "app/out"));
    symlinkSync("/etc/passwd", join(folder, "app/absolute"));
    execFileSync("mkfifo", [join(folder, "app/pipe")]);
    const { root, copied } = await prepare({ copyBecause: "of a test" });
    expect(copied).toBe(true);
    expect((readdirSync(root, { recursive: true }) as string[]).sort()).toEqual(
      ["app", "app/.env", "app/link.py", "app/main.py", "run.sh"].sort(),
    );
    expect(lstatSync(join(root, "app/link.py")).isSymbolicLink()).toBe(true);
    expect(statSync(join(root, "run.sh")).mode & 0o777).toBe(0o700);
    expect(statSync(join(root, "app/main.py")).mode & 0o777).toBe(0o600);
  });

  it("a copy is renewed at every start, also after an interrupted copy", async () => {
    file("app/old.py");
    const { root } = await prepare({ copyBecause: "of a test" });
    expect(existsSync(join(root, "app/old.py"))).toBe(true);
    mkdirSync(join(dirname(root), "building/left"), { recursive: true });
    rmSync(join(folder, "app/old.py"));
    file("app/new.py");
    await prepare({ copyBecause: "of a test" });
    expect(readdirSync(join(root, "app")).sort()).toEqual(["main.py", "new.py"]);
    expect(readdirSync(dirname(root))).toEqual(["src"]);
  });

  it("a copy omits the state directory inside the project", async () => {
    stateDir = join(folder, ".stackwarden/projects/test");
    mkdirSync(stateDir, { recursive: true });
    writeFileSync(join(folder, ".stackwarden/projects/test/secrets.json"), "{}");
    const { root } = await prepare({ copyBecause: "of a test" });
    expect(readdirSync(root)).toEqual(["app"]);
  });

  it.each(["absent", "app/main.py", "../elsewhere"])("the working directory %s is refused", async (path) => {
    await expect(prepare({ workingDir: join(folder, path) })).rejects.toMatchObject({
      code: "INVALID_STACK",
      hint: expect.stringContaining("working_dir"),
    });
  });

  it("a project above the size limit of a copy is refused and leaves no files", async () => {
    file("big");
    truncateSync(join(folder, "big"), 2 * 1024 ** 3 + 1);
    await expect(prepare({ copyBecause: "of a test" })).rejects.toMatchObject({ code: "UNSUPPORTED" });
    expect(readdirSync(join(stateDir, "work/web"))).toEqual([]);
  });

  it("a copy follows no link that replaces a file or folder while it is made", async () => {
    const outside = mkdtempSync(join(dir.path, "outside-"));
    for (const name of ["by-folder", "by-file"]) writeFileSync(join(outside, name), "top secret");
    file("swap/by-folder", "mine");
    file("file/by-file", "mine");
    file("gone", "mine");
    // The copy calls it just before it opens an entry, which is when an attacker would replace the entry.
    const exclude = (path: string): boolean => {
      if (path === "swap/by-folder") {
        renameSync(join(folder, "swap"), join(folder, "was"));
        symlinkSync(outside, join(folder, "swap"));
      }
      if (path === "file/by-file") {
        rmSync(join(folder, path));
        symlinkSync(join(outside, "by-file"), join(folder, path));
      }
      if (path === "gone") rmSync(join(folder, path));
      return false;
    };
    const target = join(dir.path, "copied");
    await copyTree({
      from: folder,
      to: target,
      user: await host.userFor("test", "web"),
      exclude,
      limits: { entries: 100, bytes: 1000, milliseconds: 10_000 },
      tooLarge: () => new Error("too large"),
    });
    const copied = (readdirSync(target, { recursive: true, withFileTypes: true }) as Dirent[]).filter((one) =>
      one.isFile(),
    );
    expect(copied.map(({ name }) => name).sort()).toEqual(expect.arrayContaining(["main.py"]));
    for (const { name, parentPath } of copied)
      expect(readFileSync(join(parentPath, name), "utf8")).not.toContain("secret");
    expect(existsSync(join(target, "gone"))).toBe(false);
    expect(readdirSync(join(target, "file"))).toEqual([]);
  });
});
