import { execFileSync } from "node:child_process";
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { npmScript } from "../../../../src/runtimes/local/binaries.js";
import { installNode, readNodeManifest } from "../../../../src/runtimes/local/install/node.js";
import { InstallFixture, tarball } from "../support/install-context.js";

const isRoot = process.getuid?.() === 0;

describe("node dependencies", () => {
  const fixture = new InstallFixture();
  let one: string;
  let two: string;
  const manifest = (fields: object) => fixture.file("web/package.json", JSON.stringify({ name: "web", ...fields }));
  const npms = () => fixture.host.ran.filter((argv) => argv.some((word) => word.endsWith("npm-cli.js"))).length;

  beforeAll(() => {
    const packages = join(fixture.dir.path, "packages");
    mkdirSync(packages, { mode: 0o755 });
    one = tarball(packages, "stacktiny", "1.0.0", { install: "node -e \"require('fs').writeFileSync('ran', '')\"" });
    two = tarball(packages, "stacktiny", "2.0.0");
  });
  afterAll(() => fixture.close());

  it("are installed once, as the service's user, and change nothing in the project", async () => {
    const path = manifest({ dependencies: { stacktiny: `file:${one}` }, scripts: { prepare: "exit 9" } });
    const before = readdirSync(fixture.folder, { recursive: true });
    const context = await fixture.context();
    const link = join(fixture.dir.path, "link");
    const first = await installNode(context, path, link);
    expect(first?.installed).toBe(true);
    const modules = first?.nodeModules ?? "";
    expect(readlinkSync(link)).toBe(modules);
    expect(readFileSync(join(link, "stacktiny/index.js"), "utf8")).toContain("1.0.0");
    // Scripts of dependencies run, with no more rights than the service; the package's own do not, and it is said.
    expect(statSync(join(modules, "stacktiny/ran")).uid).toBe(context.user.uid);
    if (isRoot) expect(context.user.uid).toBeGreaterThanOrEqual(70_000);
    expect(fixture.notices.at(-1)).toMatchObject({ type: "warning", message: expect.stringContaining("prepare") });
    expect(npms()).toBe(1);

    expect(await installNode(context, path)).toEqual({ nodeModules: modules, installed: false });
    expect(npms()).toBe(1);
    expect(readdirSync(fixture.folder, { recursive: true })).toEqual(before);

    manifest({ dependencies: { stacktiny: `file:${two}` } });
    const third = await installNode(context, path);
    expect(third?.installed).toBe(true);
    expect(readFileSync(join(third?.nodeModules ?? "", "stacktiny/index.js"), "utf8")).toContain("2.0.0");
    expect(existsSync(modules)).toBe(false);
  }, 60_000);

  it("are taken from the lock where there is one", async () => {
    const path = manifest({ version: "1.0.0", dependencies: { stacktiny: `file:${one}` } });
    const npm = (await npmScript(process.execPath)) ?? "";
    execFileSync(process.execPath, [npm, "install", "--package-lock-only", "--ignore-scripts"], {
      cwd: join(fixture.folder, "web"),
      env: { PATH: "/usr/bin:/bin", HOME: fixture.dir.path },
      stdio: "pipe",
    });
    const result = await installNode(await fixture.context(), path);
    expect(result?.installed).toBe(true);
    expect(fixture.host.ran.at(-1)).toContain("ci");
    expect(existsSync(join(result?.nodeModules ?? "", "stacktiny/package.json"))).toBe(true);
  }, 60_000);

  it("that cannot be installed are an error with npm's lines, and leave nothing", async () => {
    const path = fixture.file("bad/package.json", '{"dependencies": {"absent": "file:/nonexistent/absent.tgz"}}');
    const context = await fixture.context({ service: "bad" });
    await expect(installNode(context, path)).rejects.toMatchObject({
      code: "DEPENDENCY_INSTALL_FAILED",
      details: { last_lines: expect.arrayContaining([expect.stringContaining("ENOENT")]) },
    });
    expect(readdirSync(join(fixture.stateDir, "deps/bad"))).toEqual(["cache"]);
  }, 60_000);

  it("that are none are not installed", async () => {
    const path = fixture.file("none/package.json", '{"dependencies": {}}');
    const count = fixture.host.ran.length;
    expect(await installNode(await fixture.context(), path, join(fixture.dir.path, "unused"))).toBeNull();
    expect(fixture.host.ran).toHaveLength(count);
    expect(lstatSync(join(fixture.dir.path, "unused"), { throwIfNoEntry: false })).toBeUndefined();
  });
});

describe("a package.json", () => {
  const fixture = new InstallFixture();
  afterAll(() => fixture.close());
  const read = (text: string) => readNodeManifest(fixture.file("package.json", text));

  it("is read with its lock and npm's settings", async () => {
    fixture.file("sub/package-lock.json", "{}");
    fixture.file("sub/.npmrc", "fund=false");
    const path = fixture.file("sub/package.json", '{"devDependencies": {"a": "1"}, "scripts": {"postinstall": "x"}}');
    expect(await readNodeManifest(path)).toMatchObject({
      locked: true,
      empty: false,
      ownScripts: ["postinstall"],
      files: [
        ["package.json", expect.any(String)],
        ["package-lock.json", "{}"],
        [".npmrc", "fund=false"],
      ],
    });
  });

  it.each(["{", "[]", "null", '"text"'])("is refused as %s", async (text) => {
    await expect(read(text)).rejects.toMatchObject({ code: "DEPENDENCY_INSTALL_FAILED", hint: expect.any(String) });
  });

  it("is refused when it is missing", async () => {
    await expect(readNodeManifest(join(fixture.folder, "absent.json"))).rejects.toMatchObject({
      code: "DEPENDENCY_INSTALL_FAILED",
      message: expect.stringContaining("cannot be read"),
    });
  });

  it.each(["file:../shared", "link:./x", "workspace:*", "../shared", "./x.tgz"])(
    "is refused with a package of the project's own folders: %s",
    async (spec) => {
      await expect(read(JSON.stringify({ dependencies: { shared: spec } }))).rejects.toMatchObject({
        code: "UNSUPPORTED",
        message: expect.stringContaining("shared"),
      });
    },
  );
});
