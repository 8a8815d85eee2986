import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { InstallContext } from "../../../../src/runtimes/local/install/install-context.js";
import { installNode } from "../../../../src/runtimes/local/install/node.js";
import { readNodeManifest } from "../../../../src/runtimes/shared/manifests/node.js";
import { InstallFixture, tarball } from "../support/install-context.js";

const isRoot = process.getuid?.() === 0;

describe("installNode", () => {
  const fixture = new InstallFixture();
  let one: string;
  let two: string;
  const manifest = (fields: object) => fixture.file("web/package.json", JSON.stringify({ name: "web", ...fields }));
  const install = async (context: InstallContext, path: string) =>
    installNode(context, readNodeManifest(path, fixture.folder));
  const npms = () => fixture.host.ran.filter((argv) => argv.some((word) => word.endsWith("npm-cli.js"))).length;

  beforeAll(() => {
    const packages = join(fixture.dir.path, "packages");
    mkdirSync(packages, { mode: 0o755 });
    one = tarball(packages, "stacktiny", "1.0.0", {
      install: "node -e \"require('fs').writeFileSync('ran', String(process.getuid()))\"",
    });
    two = tarball(packages, "stacktiny", "2.0.0");
  });
  afterAll(() => fixture.close());

  it("node dependencies are installed once as the service's user, outside of the project", async () => {
    const path = manifest({ dependencies: { stacktiny: `file:${one}` }, scripts: { prepare: "exit 9" } });
    const before = readdirSync(fixture.folder, { recursive: true });
    const context = await fixture.context();
    const first = await install(context, path);
    expect(first?.installed).toBe(true);
    const modules = first?.dir ?? "";
    expect(first?.links.get("stacktiny")).toBe(join(modules, "stacktiny"));
    expect(readFileSync(join(modules, "stacktiny/index.js"), "utf8")).toContain("1.0.0");
    // Scripts of dependencies run with the rights of the service. Scripts of the package itself do not run, with a warning.
    expect(readFileSync(join(modules, "stacktiny/ran"), "utf8")).toBe(String(context.user.uid));
    if (isRoot) expect(context.user.uid).toBeGreaterThanOrEqual(70_000);
    expect(fixture.notices.at(-1)).toMatchObject({ type: "warning", message: expect.stringContaining("prepare") });
    expect(npms()).toBe(1);

    expect(await install(context, path)).toMatchObject({ dir: modules, installed: false });
    expect(npms()).toBe(1);
    expect(readdirSync(fixture.folder, { recursive: true })).toEqual(before);

    manifest({ dependencies: { stacktiny: `file:${two}` } });
    const third = await install(context, path);
    expect(third?.installed).toBe(true);
    expect(readFileSync(join(third?.dir ?? "", "stacktiny/index.js"), "utf8")).toContain("2.0.0");
    expect(existsSync(modules)).toBe(false);
  }, 60_000);

  it("node dependencies are installed with `npm ci` when a lock file exists", async () => {
    const fields = { version: "1.0.0", dependencies: { stacktiny: `file:${one}` } };
    const path = manifest(fields);
    // As `npm install --package-lock-only` writes it.
    const resolved = `file:${relative(join(fixture.folder, "web"), one)}`;
    const integrity = `sha512-${createHash("sha512").update(readFileSync(one)).digest("base64")}`;
    const packages = {
      "": { name: "web", ...fields },
      "node_modules/stacktiny": { version: "1.0.0", resolved, integrity, hasInstallScript: true },
    };
    const lock = { name: "web", version: "1.0.0", lockfileVersion: 3, requires: true, packages };
    fixture.file("web/package-lock.json", JSON.stringify(lock));
    const result = await install(await fixture.context(), path);
    expect(result?.installed).toBe(true);
    expect(fixture.host.ran.at(-1)).toContain("ci");
    expect(existsSync(join(result?.dir ?? "", "stacktiny/package.json"))).toBe(true);
  }, 60_000);

  it("a failed installation reports npm's lines and leaves no files", async () => {
    const path = fixture.file("bad/package.json", '{"dependencies": {"absent": "file:/nonexistent/absent.tgz"}}');
    const context = await fixture.context({ service: "bad" });
    const count = readdirSync(join(fixture.stateDir, "deps/environments")).length;
    await expect(install(context, path)).rejects.toMatchObject({
      code: "DEPENDENCY_INSTALL_FAILED",
      details: { last_lines: expect.arrayContaining([expect.stringContaining("ENOENT")]) },
    });
    expect(readdirSync(join(fixture.stateDir, "deps/environments"))).toHaveLength(count);
  }, 60_000);

  it("a package.json without dependencies installs nothing", async () => {
    const path = fixture.file("none/package.json", '{"dependencies": {}}');
    const count = fixture.host.ran.length;
    expect(await install(await fixture.context(), path)).toBeNull();
    expect(fixture.host.ran).toHaveLength(count);
  });
});
