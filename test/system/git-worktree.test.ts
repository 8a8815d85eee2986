/** Work trees that git created, and files that resemble them. */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { defaultProjectId } from "../../src/stack/default-project.js";
import { repositoryFolder, repositoryOfWorktree } from "../../src/system/git-worktree.js";

describe("repositoryOfWorktree", () => {
  let folder: string;
  const git = (cwd: string, ...args: string[]) =>
    execFileSync("git", ["-c", "user.name=t", "-c", "user.email=t@example.org", ...args], { cwd, stdio: "ignore" });

  beforeAll(() => {
    folder = realpathSync(mkdtempSync(join(tmpdir(), "stackwarden-worktree-")));
    mkdirSync(join(folder, "Shop"));
    git(join(folder, "Shop"), "init", "-q");
    git(join(folder, "Shop"), "commit", "-q", "--allow-empty", "-m", "first");
    git(join(folder, "Shop"), "worktree", "add", "-q", "-b", "login", join(folder, "login"));
    git(folder, "clone", "-q", "--bare", join(folder, "Shop"), join(folder, "central.git"));
    git(join(folder, "central.git"), "worktree", "add", "-q", "-b", "pay", join(folder, "pay"));
    git(join(folder, "central.git"), "worktree", "add", "-q", "-b", "inside", join(folder, "central.git/inside"));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it("a linked work tree belongs to its repository, which is part of the default project id", () => {
    expect(repositoryOfWorktree(join(folder, "login"))).toBe("Shop");
    expect(defaultProjectId(join(folder, "login"))).toBe("shop-login");
    expect(repositoryOfWorktree(join(folder, "pay"))).toBe("central");
    expect(defaultProjectId(join(folder, "pay"))).toBe("central-pay");
  });

  it("a repository folder is found only where the repository names the work tree", () => {
    expect(repositoryFolder(join(folder, "login"))).toBe(join(folder, "Shop/.git"));
    expect(repositoryFolder(join(folder, "pay"))).toBe(join(folder, "central.git"));
    expect(repositoryFolder(join(folder, "central.git/inside"))).toBeNull();
    expect(repositoryFolder(join(folder, "Shop"))).toBeNull();
    expect(repositoryFolder(join(folder, "nowhere"))).toBeNull();
    const copy = join(folder, "copy");
    mkdirSync(join(copy, "own/worktrees/login"), { recursive: true });
    writeFileSync(join(copy, "own/worktrees/login/gitdir"), `${copy}/.git\n`);
    for (const named of [
      `${folder}/Shop/.git/worktrees/login`,
      `${folder}/keys/worktrees/login`,
      `${copy}/own/worktrees/login`,
    ]) {
      writeFileSync(join(copy, ".git"), `gitdir: ${named}\n`);
      expect(repositoryFolder(copy), named).toBeNull();
    }
  });

  it("a main work tree, a submodule and a plain folder are not linked work trees", () => {
    expect(repositoryOfWorktree(join(folder, "Shop"))).toBeNull();
    expect(defaultProjectId(join(folder, "Shop"))).toBe("shop");
    const plain = join(folder, "plain");
    mkdirSync(plain);
    expect(repositoryOfWorktree(plain)).toBeNull();
    expect(repositoryOfWorktree(join(folder, "nowhere"))).toBeNull();
    for (const text of ["", "gitdir: ../.git/modules/plain\n", "gitdir: worktrees\n", "x".repeat(10_000)]) {
      writeFileSync(join(plain, ".git"), text);
      expect(repositoryOfWorktree(plain), text.slice(0, 40)).toBeNull();
    }
  });

  it("a .git entry that is a link to the outside or a named pipe is ignored", () => {
    const odd = join(folder, "odd");
    mkdirSync(odd);
    symlinkSync(join(folder, "login", ".git"), join(odd, ".git"));
    expect(repositoryOfWorktree(odd)).toBeNull();
    rmSync(join(odd, ".git"));
    execFileSync("mkfifo", [join(odd, ".git")]);
    expect(repositoryOfWorktree(odd)).toBeNull();
  });
});
