import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  installNodeModules,
  linksFor,
  type NodeInstall,
  npmOf,
} from "../../../../src/runtimes/local/install/node-modules.js";
import type { RunSpec } from "../../../../src/runtimes/local/types.js";
import { Preparation } from "../support/preparation.js";

describe("installNodeModules", () => {
  let preparation: Preparation;
  beforeEach(() => {
    preparation = new Preparation();
    preparation.host.answer = installer;
  });
  afterEach(() => preparation.close());

  /** What the installer sees. */
  let seen: Record<string, string>;
  /** Packages appear in `node_modules` of the root and of each folder with a package.json. */
  const installer = ({ cwd }: RunSpec) => {
    const files = readdirSync(cwd, { recursive: true, encoding: "utf8" }).filter((path) => /\.\w+$/.test(path));
    seen = Object.fromEntries(files.sort().map((path) => [path, readFileSync(join(cwd, path), "utf8")]));
    for (const path of files)
      if (path.endsWith("package.json"))
        mkdirSync(join(cwd, dirname(path), "node_modules/tiny/.keep"), { recursive: true });
    return {};
  };
  const install = async (fields: Partial<NodeInstall> = {}, service = "web") => {
    const node = preparation.program("node");
    return installNodeModules(await preparation.installing(service), {
      tool: "npm",
      folder: preparation.folder,
      omitDev: false,
      node,
      program: { argv: [node, "/npm-cli.js"], path: [preparation.bin] },
      ...fields,
    });
  };
  const manifest = (path: string, fields: object) =>
    preparation.file(join(path, "package.json"), JSON.stringify({ name: `x${path}`, ...fields }));
  const tiny = { dependencies: { tiny: "1" } };

  it("the tool gets the manifest and the lock file alone, and its caches are in the state directory", async () => {
    manifest("", tiny);
    preparation.file("package-lock.json", "{}");
    preparation.file("server.js", "");
    const installed = await install({ omitDev: true });
    const [spec] = preparation.host.specs;
    expect(spec?.argv).toEqual([
      join(preparation.bin, "node"),
      "/npm-cli.js",
      ...["ci", "--omit=dev", "--no-audit", "--no-fund"],
    ]);
    expect(Object.keys(seen)).toEqual(["package-lock.json", "package.json"]);
    const downloads = join(preparation.stateDir, "deps/downloads/web");
    expect(spec?.env).toMatchObject({
      npm_config_cache: join(downloads, "npm"),
      npm_config_update_notifier: "false",
      CI: "1",
    });
    expect(spec?.env.PATH).toMatch(new RegExp(`^${preparation.bin}:`));
    expect(installed).toMatchObject({
      root: preparation.folder,
      places: [""],
      exclusive: false,
      packages: ["tiny"],
    });
    expect(await linksFor(installed ?? expect.fail(), "")).toEqual(
      new Map([["tiny", join(installed?.dir ?? "", "node_modules/tiny")]]),
    );
  });

  it.each([
    ["npm", "", {}, "install --no-audit --no-fund"],
    ["npm", "npm-shrinkwrap.json", { omitDev: true }, "ci --omit=dev --no-audit --no-fund"],
    ["pnpm", "", {}, "install --no-frozen-lockfile"],
    ["pnpm", "pnpm-lock.yaml", { omitDev: true }, "install --frozen-lockfile --prod"],
    ["yarn", "", { omitDev: true }, "install --production"],
    ["yarn", "yarn.lock", { omitDev: true }, "install --frozen-lockfile --production"],
    ["bun", "bun.lock", {}, "install --frozen-lockfile"],
    ["bun", "", { omitDev: true }, "install --production"],
  ] as const)("%s with the lock file «%s» and %o runs %s", async (tool, lock, fields, words) => {
    manifest("", tiny);
    if (lock !== "") preparation.file(lock, "");
    await install({ tool, ...fields });
    expect(preparation.host.specs[0]?.argv.slice(2).join(" ")).toBe(words);
  });

  it("equal manifests are installed once, and another tool or version of Node.js installs them again", async () => {
    manifest("", tiny);
    const first = await install();
    expect((await install())?.dir).toBe(first?.dir);
    expect(preparation.host.specs).toHaveLength(1);
    expect((await install({ tool: "pnpm" }))?.dir).not.toBe(first?.dir);
    expect((await install({ node: preparation.program("node-20/bin/node") }))?.dir).not.toBe(first?.dir);
  });

  it("the package's own scripts are left out, because its sources are absent", async () => {
    manifest("", { ...tiny, scripts: { prepare: "exit 9", postinstall: "exit 9", start: "node ." } });
    await install();
    expect(JSON.parse(seen["package.json"] ?? "").scripts).toEqual({ start: "node ." });
  });

  it("settings with credentials are there for the installation and not afterwards", async () => {
    manifest("", tiny);
    preparation.file(".npmrc", "//registry.example/:_authToken=secret");
    const installed = await install();
    expect(seen[".npmrc"]).toContain("secret");
    expect(existsSync(join(installed?.dir ?? "", ".npmrc"))).toBe(false);
  });

  it("a package of a workspace is installed from the workspace's root, with the manifests of all packages", async () => {
    manifest("", { workspaces: ["packages/*"], patchedDependencies: { tiny: "patches/tiny.patch", bad: "../x" } });
    manifest("packages/api", tiny);
    manifest("packages/ui", {});
    preparation.file("packages/api/server.js", "");
    preparation.file("patches/tiny.patch", "a patch");
    const installed = await install({ folder: join(preparation.folder, "packages/api") });
    expect(Object.keys(seen)).toEqual([
      "package.json",
      "packages/api/package.json",
      "packages/ui/package.json",
      "patches/tiny.patch",
    ]);
    expect(installed?.root).toBe(preparation.folder);
    expect(installed?.places).toEqual(["", "packages/api", "packages/ui"]);
  });

  it("a folder of a workspace that has its own lock file is installed by itself", async () => {
    manifest("", { workspaces: ["packages/*"] });
    manifest("packages/api", tiny);
    preparation.file("packages/api/yarn.lock", "");
    const installed = await install({ tool: "yarn", folder: join(preparation.folder, "packages/api") });
    expect(installed?.root).toBe(join(preparation.folder, "packages/api"));
    expect(Object.keys(seen)).toEqual(["package.json", "yarn.lock"]);
    expect(preparation.host.specs[0]?.argv.slice(2)).toEqual(["install", "--frozen-lockfile"]);
  });

  it("the settings of Yarn 2 select its options", async () => {
    manifest("", tiny);
    preparation.file("yarn.lock", "");
    preparation.file(".yarnrc.yml", "nodeLinker: pnp");
    await install({ tool: "yarn" });
    expect(preparation.host.specs[0]?.argv.slice(2)).toEqual(["install", "--immutable"]);
    expect(preparation.host.specs[0]?.env.YARN_NODE_LINKER).toBe("node-modules");
  });

  it("an installer of Yarn 2 without a lock file may write one, and an empty installation has no places", async () => {
    manifest("", tiny);
    preparation.file(".yarnrc.yml", "");
    preparation.host.answer = () => ({});
    expect(await install({ tool: "yarn" })).toMatchObject({ places: [] });
    expect(preparation.host.specs[0]?.argv.slice(2)).toEqual(["install"]);
  });

  it("packages that write into node_modules are not shared between services", async () => {
    manifest("", { dependencies: { "@prisma/client": "5" } });
    const first = await install();
    expect(first?.exclusive).toBe(true);
    expect((await install({}, "worker"))?.dir).not.toBe(first?.dir);
  });

  it("a package without dependencies installs nothing", async () => {
    manifest("", { dependencies: {}, devDependencies: [] });
    expect(await install()).toBeNull();
    expect(preparation.host.specs).toEqual([]);
  });

  it("a missing or invalid package.json is refused with its path", async () => {
    const refused = (message: string) => ({ code: "DEPENDENCY_INSTALL_FAILED", message });
    const folder = join(preparation.folder, "web");
    await expect(install({ folder })).rejects.toMatchObject(refused("web/package.json does not exist."));
    preparation.file("web/package.json", "{");
    await expect(install({ folder })).rejects.toMatchObject(refused("web/package.json is not valid JSON."));
  });

  it("a failed installation fails with the tool's last lines", async () => {
    manifest("", tiny);
    preparation.host.answer = () => ({ exitCode: 1, output: "npm error code E404\n" });
    await expect(install()).rejects.toMatchObject({
      code: "DEPENDENCY_INSTALL_FAILED",
      message: 'npm install for "web" ended with 1.',
      details: { service: "web", last_lines: ["npm error code E404"] },
    });
  });

  it("an installation that needs too much memory or time says so", async () => {
    manifest("", tiny);
    preparation.host.answer = () => ({ exitCode: null, signal: "SIGKILL", oomKilled: true });
    await expect(install()).rejects.toMatchObject({
      message: 'npm install for "web" needs more memory than the service\'s limit allows.',
      hint: expect.stringContaining("raise its memory limit"),
    });
    preparation.host.answer = () => ({ exitCode: null, signal: "SIGKILL", timedOut: true });
    await expect(install()).rejects.toMatchObject({ message: 'npm install for "web" took longer than 15 minutes.' });
  });
});

describe("npmOf", () => {
  it("npm is that beside the Node.js", async () => {
    const preparation = new Preparation();
    const node = preparation.program("node");
    const cli = join(preparation.dir.path, "client/lib/node_modules/npm/bin/npm-cli.js");
    mkdirSync(dirname(cli), { recursive: true });
    writeFileSync(cli, "");
    expect(await npmOf(node)).toEqual({ argv: [node, cli], path: [preparation.bin] });
    preparation.close();
  });
});
