import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Toolchain } from "../../../../src/runtimes/local/image/recipe.js";
import { candidatesFor, clientPath, directoriesOf } from "../../../../src/runtimes/local/toolchain/candidates.js";
import { findClientTool, findToolchain } from "../../../../src/runtimes/local/toolchain/find-toolchain.js";
import { Preparation } from "../support/preparation.js";

describe("the client's programs of a language", () => {
  let preparation: Preparation;
  let home: string;
  beforeEach(() => {
    preparation = new Preparation();
    home = join(preparation.dir.path, "client");
  });
  afterEach(() => preparation.close());

  const program = (path: string): string => {
    const full = join(home, path);
    mkdirSync(dirname(full), { recursive: true });
    writeFileSync(full, "#!/bin/sh\n", { mode: 0o755 });
    return full;
  };
  /** Candidates below the home folder; a machine may have others. */
  const candidates = async (
    language: Toolchain["language"],
    env: Record<string, string> = { HOME: home },
    dirs: string[] = [],
  ) =>
    (await candidatesFor({ language, version: null }, dirs, env))
      .filter(({ program: path }) => path.startsWith(home))
      .map(({ program: path, version }) => `${path.slice(home.length + 1)} ${version}`);

  it("the versions of Node.js of every version manager are listed, the newest of each first", async () => {
    for (const path of [
      ".nvm/versions/node/v9.0.0/bin/node",
      ".nvm/versions/node/v22.1.0/bin/node",
      ".nvm/versions/node/broken/bin/node",
      ".local/share/fnm/node-versions/v20.2.0/installation/bin/node",
      ".volta/tools/image/node/18.3.0/bin/node",
      ".local/share/mise/installs/node/21.0.0/bin/node",
      ".asdf/installs/nodejs/16.0.0/bin/node",
    ])
      program(path);
    mkdirSync(join(home, ".nvm/versions/node/v23.0.0/bin"), { recursive: true });
    expect(await candidates("node")).toEqual([
      ".nvm/versions/node/v22.1.0/bin/node 22.1.0",
      ".nvm/versions/node/v9.0.0/bin/node 9.0.0",
      ".local/share/fnm/node-versions/v20.2.0/installation/bin/node 20.2.0",
      ".volta/tools/image/node/18.3.0/bin/node 18.3.0",
      ".local/share/mise/installs/node/21.0.0/bin/node 21.0.0",
      ".asdf/installs/nodejs/16.0.0/bin/node 16.0.0",
    ]);
  });

  it("the versions of Python, Go and Bun are found in the folders of their managers", async () => {
    program(".pyenv/versions/3.12.1/bin/python3");
    program(".local/share/uv/python/cpython-3.13.0-linux-x86_64-gnu/bin/python3");
    program(".goenv/versions/1.21.0/bin/go");
    program("sdk/go1.22.3/bin/go");
    program(".asdf/installs/go/1.20.1/go/bin/go");
    program(".local/share/mise/installs/bun/1.1.0/bin/bun");
    expect(await candidates("python")).toEqual([
      ".pyenv/versions/3.12.1/bin/python3 3.12.1",
      ".local/share/uv/python/cpython-3.13.0-linux-x86_64-gnu/bin/python3 3.13.0",
    ]);
    expect(await candidates("go")).toEqual([
      ".goenv/versions/1.21.0/bin/go 1.21.0",
      "sdk/go1.22.3/bin/go 1.22.3",
      ".asdf/installs/go/1.20.1/go/bin/go 1.20.1",
    ]);
    expect(await candidates("bun")).toEqual([".local/share/mise/installs/bun/1.1.0/bin/bun 1.1.0"]);
  });

  it("a manager's own variable replaces its usual folder, unless it is relative", async () => {
    program("elsewhere/versions/node/v22.1.0/bin/node");
    program("n/n/versions/node/21.5.0/bin/node");
    const env = { NVM_DIR: join(home, "elsewhere"), N_PREFIX: join(home, "n"), FNM_DIR: "relative" };
    expect(await candidates("node", env)).toEqual([
      "elsewhere/versions/node/v22.1.0/bin/node 22.1.0",
      "n/n/versions/node/21.5.0/bin/node 21.5.0",
    ]);
    expect(await candidates("node", { HOME: "relative" })).toEqual([]);
  });

  it("programs of PATH come first, with the version that their path or the target of their link names", async () => {
    const real = program(".nvm/versions/node/v22.1.0/bin/node");
    program("bin/node");
    mkdirSync(join(home, "links"));
    symlinkSync(real, join(home, "links/node"));
    const dirs = [join(home, "bin"), join(home, "links"), dirname(real)];
    expect(await candidates("node", { HOME: home }, dirs)).toEqual([
      "bin/node null",
      "links/node 22.1.0",
      ".nvm/versions/node/v22.1.0/bin/node 22.1.0",
    ]);
  });

  it("a requested version of Python has the name of its program first", async () => {
    program("bin/python3");
    program("bin/python3.12");
    const { language, dirs } = { language: "python" as const, dirs: [join(home, "bin")] };
    const names = async (version: string | null) =>
      (await candidatesFor({ language, version }, dirs, {}))
        .filter(({ program: path }) => path.startsWith(home))
        .map(({ program: path }) => path.slice(home.length + 5));
    expect(await names("3.12.4")).toEqual(["python3.12", "python3"]);
    expect(await names("3")).toEqual(["python3"]);
  });

  it("clientPath leaves out shims, packages' programs and relative folders", () => {
    const PATH = "/a/bin:relative:/home/x/.pyenv/shims:/p/node_modules/.bin/::/b";
    expect(clientPath({ PATH })).toEqual(["/a/bin", "/b"]);
    expect(clientPath({})).toEqual([]);
  });

  it("directoriesOf adds the folder of the real file and of its interpreter", async () => {
    const real = program("lib/tool.py");
    const link = join(home, "bin/tool");
    mkdirSync(dirname(link), { recursive: true });
    symlinkSync(real, link);
    const dirs = (line: string) => directoriesOf(link, async () => line);
    expect(await dirs(`#!${home}/venv/bin/python`)).toEqual([
      join(home, "bin"),
      join(home, "lib"),
      join(home, "venv/bin"),
    ]);
    expect(await dirs("#!/usr/bin/env python3")).toEqual([join(home, "bin"), join(home, "lib")]);
    const unreadable = directoriesOf(link, () => Promise.reject(new Error("denied")));
    expect(await unreadable).toEqual([join(home, "bin"), join(home, "lib")]);
  });

  const context = async (client: Record<string, string>) => ({
    user: await preparation.host.userFor("test", "web"),
    host: preparation.host,
    client,
  });
  const find = async (version: string | null, client: Record<string, string>) =>
    findToolchain({ language: "go", version, image: `golang:${version ?? "latest"}` }, await context(client));

  it("findToolchain prefers the version of the image, then the first program that runs", async () => {
    const first = program("bin/go");
    const exact = program("sdk/go1.22.3/bin/go");
    preparation.host.answer = ({ argv }) => ({ output: argv[0] === first ? "go version go1.20.4 linux/amd64" : "" });
    const client = { PATH: join(home, "bin"), HOME: home };
    expect(await find("1.22", client)).toEqual({ program: exact, version: "1.22.3", matches: true });
    expect(await find("1.19", client)).toEqual({ program: first, version: "1.20.4", matches: false });
    expect(await find(null, client)).toEqual({ program: first, version: "1.20.4", matches: true });
    expect(preparation.host.ran[0]).toEqual([first, "version"]);
  });

  it("findToolchain passes over programs that do not run, and programs that a service cannot reach", async () => {
    program("bin/go");
    preparation.host.answer = () => ({ exitCode: 127 });
    expect(await find("1.22", { PATH: join(home, "bin") })).toBeNull();
    const reachable = program("sdk/go1.22.3/bin/go");
    preparation.host.accessible = async (path) => path === reachable;
    expect(await find("1.22", { PATH: join(home, "bin"), HOME: home })).toMatchObject({ program: reachable });
  });

  it("findClientTool returns the first program that a service can run, with the folders that it needs", async () => {
    const tool = program("bin/turbo");
    expect(await findClientTool("turbo", await context({ PATH: `/nowhere:${join(home, "bin")}` }))).toEqual({
      program: tool,
      path: expect.arrayContaining([join(home, "bin"), "/bin"]),
    });
    expect(await findClientTool("no-such-tool", await context({ PATH: join(home, "bin") }))).toBeNull();
  });
});
