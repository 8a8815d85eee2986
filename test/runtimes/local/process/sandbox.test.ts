import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { joinArgs, sandboxArgs } from "../../../../src/runtimes/local/process/sandbox.js";
import { tempDir } from "../support/fixture.js";

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
    const host = { tools: { bwrap: "bwrap", nsenter: "nsenter", system: [] }, hidden: [home, state], shared: [shared] };
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
    const host = { tools: { bwrap: "bwrap", nsenter: "nsenter", system: [] }, hidden: [state], shared: [] };
    const program = join(own, "deps/abc/bin/python");
    const args = sandboxArgs(host, { visible: [own], programs: [program, join(own, "deps/abc/bin/program")] });
    expect(each(args, "--ro-bind")).toEqual([]);
    expect(each(args, "--bind")).toContain(own);
  });

  it("a program in a home folder makes only its own folder visible", () => {
    const home = folder("home/ada");
    folder("home/ada/tools");
    const host = { tools: { bwrap: "bwrap", nsenter: "nsenter", system: [] }, hidden: [home], shared: [] };
    const args = sandboxArgs(host, { visible: [], programs: [join(home, "tools/run.sh")] });
    expect(each(args, "--ro-bind")).toEqual([join(home, "tools")]);
  });
});

it("joinArgs enters every namespace of the service", () => {
  expect(joinArgs(4711)).toEqual(["--target=4711", "--mount", "--pid", "--ipc", "--uts", "--net", "--"]);
});
