/** Work trees made by git itself, and files that only look like theirs. */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { defaultProjectId } from "../../src/stack/default-project.js";
import { repositoryOfWorktree } from "../../src/system/git-worktree.js";

describe("linked git work trees", () => {
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
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it("belong to their repository, which is in the project's default id", () => {
    expect(repositoryOfWorktree(join(folder, "login"))).toBe("Shop");
    expect(defaultProjectId(join(folder, "login"))).toBe("shop-login");
    expect(repositoryOfWorktree(join(folder, "pay"))).toBe("central");
    expect(defaultProjectId(join(folder, "pay"))).toBe("central-pay");
  });

  it("are distinguished from main work trees, submodules and plain folders", () => {
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

  it("are not looked for behind a link that leaves the folder, nor in a pipe", () => {
    const odd = join(folder, "odd");
    mkdirSync(odd);
    symlinkSync(join(folder, "login", ".git"), join(odd, ".git"));
    expect(repositoryOfWorktree(odd)).toBeNull();
    rmSync(join(odd, ".git"));
    execFileSync("mkfifo", [join(odd, ".git")]);
    expect(repositoryOfWorktree(odd)).toBeNull();
  });
});
