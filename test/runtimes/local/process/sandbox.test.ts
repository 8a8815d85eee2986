import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import {
  hiddenFolders,
  joiningNamespaces,
  makingNamespaces,
  type SandboxTools,
  sandboxArgs,
} from "../../../../src/runtimes/local/process/sandbox.js";
import { tempDir } from "../support/fixture.js";

const TOOLS: SandboxTools = { bwrap: "bwrap", nsenter: "nsenter", system: [], users: null };
const USER: SandboxTools = { ...TOOLS, users: { outer: 20, inner: 21 } };

let dir: ReturnType<typeof tempDir>;
beforeEach(() => {
  dir = tempDir();
});
afterEach(() => dir.remove());

const folder = (path: string): string => {
  const full = join(dir.path, path);
  mkdirSync(full, { recursive: true });
  return full;
};

/** @returns the first argument of every occurrence of the option, such as of every `--bind` */
function each(args: string[], option: string): string[] {
  return args.flatMap((one, at) => (one === option ? [args[at + 1] as string] : []));
}

describe("sandboxArgs", () => {
  it("hidden folders are replaced, except for the visible folders, shared folders and programs", () => {
    const [home, state] = [folder("home"), folder("state")];
    const [project, own] = [folder("home/ada/shop"), folder("state/projects/shop")];
    folder("home/ada/node/bin");
    const shared = folder("state/cache");
    const host = { tools: TOOLS, hidden: [home, state], shared: [shared] };
    const program = join(home, "ada/node/bin/node");
    const args = sandboxArgs(host, {
      visible: [project, own],
      programs: [program, "/usr/bin/program", join(home, "ada/node/bin/program")],
    });
    expect(each(args, "--tmpfs")).toEqual(expect.arrayContaining(["/tmp", home, state]));
    expect(each(args, "--bind")).toEqual(["/", project, own].sort((a, b) => a.length - b.length));
    expect(each(args, "--ro-bind").sort()).toEqual([join(home, "ada/node"), shared].sort());
    // The service's user can enter the parent folders.
    expect(each(args, "--dir")).toEqual(expect.arrayContaining([join(home, "ada"), join(state, "projects")]));
    expect(args.indexOf("--unshare-pid")).toBeGreaterThan(args.lastIndexOf("--bind"));
    expect(args.at(-1)).toBe("--");
  });

  it("a visible folder stays writable although a program of the service is in it", () => {
    const state = folder("state");
    const own = folder("state/projects/shop");
    folder("state/projects/shop/deps/abc/bin");
    const host = { tools: TOOLS, hidden: [state], shared: [] };
    const program = join(own, "deps/abc/bin/python");
    const args = sandboxArgs(host, { visible: [own], programs: [program, join(own, "deps/abc/bin/program")] });
    expect(each(args, "--ro-bind")).toEqual([]);
    expect(each(args, "--bind")).toContain(own);
  });

  it("a program in a home folder makes only its own folder visible", () => {
    const home = folder("home/ada");
    folder("home/ada/tools");
    const host = { tools: TOOLS, hidden: [home], shared: [] };
    const args = sandboxArgs(host, { visible: [], programs: [join(home, "tools/run.sh")] });
    expect(each(args, "--ro-bind")).toEqual([join(home, "tools")]);
  });
});

describe("what services of an ordinary user see", () => {
  it("the machine is read-only, and only the project can be changed", () => {
    const [project, state] = [folder("srv/shop"), folder("state")];
    const host = { tools: USER, hidden: [state], shared: [] };
    const args = sandboxArgs(host, { visible: [project], programs: [] });
    expect(each(args, "--ro-bind")).toEqual(["/"]);
    expect(each(args, "--bind")).toEqual([project]);
    const elsewhere = { source: project, target: "/stackwarden-absent/data", readOnly: false };
    const replaced = sandboxArgs(host, { visible: [], programs: [], mounts: [elsewhere] });
    expect(each(replaced, "--ro-bind-try")).toContain("/usr");
    expect(each(replaced, "--bind-try")).toEqual([]);
  });

  it("a bind takes the place of a file of the machine without a replacement of its folder", () => {
    const host = { tools: USER, hidden: [], shared: [] };
    const bind = { source: "/etc/passwd", target: "/etc/passwd", readOnly: true };
    const args = sandboxArgs(host, { visible: [], programs: [], mounts: [bind] });
    expect(each(args, "--ro-bind")).toEqual(["/", "/etc/passwd"]);
    expect(each(args, "--tmpfs")).not.toContain("/etc");
  });

  it("the state directory stays hidden where the project's folder contains it", () => {
    const home = folder("home/ada");
    const state = folder("home/ada/.local/state");
    const own = folder("home/ada/.local/state/projects/ada/run");
    const host = { tools: USER, hidden: [home, state], shared: [] };
    const args = sandboxArgs(host, { visible: [home, own], programs: [] });
    const at = (option: string, path: string) => args.findIndex((one, n) => one === option && args[n + 1] === path);
    expect(at("--bind", home)).toBeGreaterThan(-1);
    expect(at("--tmpfs", state)).toBeGreaterThan(at("--bind", home));
    expect(at("--bind", own)).toBeGreaterThan(at("--tmpfs", state));
  });

  it("the user's home folder, wherever it is, and /run are hidden", async () => {
    const state = folder("state");
    const own = await hiddenFolders(USER, state);
    expect(own.hidden).toEqual(expect.arrayContaining([state, "/run", "/root"]));
    expect((await hiddenFolders(TOOLS, state)).hidden).not.toContain("/run");
    vi.stubEnv("HOME", folder("elsewhere/ada"));
    expect((await hiddenFolders(USER, state)).hidden).toContain(join(dir.path, "elsewhere/ada"));
    vi.stubEnv("HOME", "/usr");
    expect((await hiddenFolders(USER, state)).hidden).not.toContain("/usr");
    vi.unstubAllEnvs();
  });

  it.runIf(existsSync("/dev/shm"))("a program that is reached through a link of a folder is visible", () => {
    const home = folder("home/ada");
    folder("home/ada/node/bin");
    const elsewhere = mkdtempSync("/dev/shm/stackwarden-people-");
    try {
      symlinkSync(home, join(elsewhere, "ada"));
      const host = { tools: USER, hidden: [home], shared: [] };
      const args = sandboxArgs(host, { visible: [], programs: [join(elsewhere, "ada/node/bin/node")] });
      expect(each(args, "--ro-bind")).toContain(join(home, "node"));
    } finally {
      rmSync(elsewhere, { recursive: true });
    }
  });
});

describe("what is given to nsenter and bubblewrap", () => {
  it("joins every namespace of a service, and its network where it has one", () => {
    const words = ["nsenter", "--target=4711", "--mount", "--pid", "--ipc", "--uts", "--net", "--"];
    expect(joiningNamespaces(TOOLS, 4711, true)).toEqual(words);
    expect(joiningNamespaces(TOOLS, 4711, false)).toEqual(words.filter((one) => one !== "--net"));
  });

  it("enters the user namespaces of a server that is not root: the outer one to change namespaces, the inner one to run", () => {
    const outer = ["nsenter", "--user=/proc/self/fd/5", "--preserve-credentials"];
    const inner = ["nsenter", "--user=/proc/self/fd/6", "--preserve-credentials", "--"];
    expect(makingNamespaces(USER)).toEqual([...outer, "--", "bwrap", "--userns2", "6"]);
    expect(makingNamespaces(USER, ["--net=/x"])).toEqual([...outer, "--net=/x", "--", "bwrap", "--userns2", "6"]);
    expect(joiningNamespaces(USER, 4711, false)).toEqual([
      ...outer,
      ...["--target=4711", "--mount", "--pid", "--ipc", "--uts", "--"],
      ...inner,
    ]);
  });
});
