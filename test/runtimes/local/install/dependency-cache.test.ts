import { existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { cachedDependencies, hashOf, installStep } from "../../../../src/runtimes/local/install/dependency-cache.js";
import { installerEnvironment } from "../../../../src/runtimes/local/install/installer-environment.js";
import { isTransient } from "../../../../src/runtimes/shared/install-faults.js";
import { mirrorSettings } from "../../../../src/runtimes/shared/mirror-settings.js";
import { InstallFixture } from "../support/install-context.js";

describe("dependencies that are kept", () => {
  let fixture: InstallFixture;
  const base = () => join(fixture.stateDir, "deps/web");
  const fill = async (dir: string) => writeFileSync(join(dir, "installed"), "");

  beforeEach(() => {
    fixture = new InstallFixture();
  });
  afterEach(() => fixture.close());

  it("are built once for a hash, in a directory of the service's user alone", async () => {
    const context = await fixture.context();
    let built = 0;
    const build = async (dir: string) => {
      built++;
      await fill(dir);
    };
    const first = await cachedDependencies(context, "h1", build);
    const second = await cachedDependencies(context, "h1", build);
    expect([first.installed, second.installed, built]).toEqual([true, false, 1]);
    expect(second.dir).toBe(first.dir);
    const found = statSync(first.dir);
    expect(found.mode & 0o777).toBe(0o700);
    expect(found.uid).toBe(context.user.uid);
    expect(statSync(`${first.dir}.complete`).uid).toBe(process.getuid?.());
    expect(fixture.notices).toEqual([{ type: "installing", service: "web", message: "Installing dependencies." }]);
    expect(fixture.phases).toEqual(["installing dependencies"]);
  });

  it("are built one after the other, also when several callers come at once", async () => {
    const context = await fixture.context();
    let built = 0;
    const build = async (dir: string) => {
      built++;
      await new Promise((resolve) => setTimeout(resolve, 20));
      await fill(dir);
    };
    const all = await Promise.all([1, 2, 3].map(() => cachedDependencies(context, "h1", build)));
    expect(built).toBe(1);
    expect(all.filter(({ installed }) => installed)).toHaveLength(1);
  });

  it("of former manifests go, the installer's own cache stays", async () => {
    const context = await fixture.context();
    await cachedDependencies(context, "h1", fill);
    mkdirSync(join(base(), "cache"));
    await cachedDependencies(context, "h2", fill);
    expect(readdirSync(base()).sort()).toEqual(["cache", "h2", "h2.complete"]);
  });

  it("that were cut off half way are built again, and failed ones leave nothing", async () => {
    const context = await fixture.context();
    mkdirSync(join(base(), "h1"), { recursive: true });
    writeFileSync(join(base(), "h1/half"), "");
    const { dir } = await cachedDependencies(context, "h1", fill);
    expect(readdirSync(dir)).toEqual(["installed"]);
    await expect(
      cachedDependencies(context, "h2", async () => {
        throw new Error("broken");
      }),
    ).rejects.toThrow("broken");
    expect(readdirSync(base()).sort()).toEqual(["h1", "h1.complete"]);
    expect((await cachedDependencies(context, "h1", fill)).installed).toBe(false);
  });

  it("whose directory is gone or another user's are built again", async () => {
    const context = await fixture.context();
    const { dir } = await cachedDependencies(context, "h1", fill);
    rmSync(dir, { recursive: true });
    expect((await cachedDependencies(context, "h1", fill)).installed).toBe(true);
    if (process.getuid?.() !== 0) return;
    const other = { ...context, user: { ...context.user, uid: context.user.uid + 1, gid: context.user.gid + 1 } };
    expect((await cachedDependencies(other, "h1", fill)).installed).toBe(true);
    expect(statSync(dir).uid).toBe(other.user.uid);
  });

  it("are not built for a start that was cancelled", async () => {
    const context = await fixture.context({ signal: AbortSignal.abort() });
    await expect(cachedDependencies(context, "h1", fill)).rejects.toMatchObject({ name: "AbortError" });
    expect(existsSync(join(base(), "h1"))).toBe(false);
  });
});

describe("one step of an installation", () => {
  let fixture: InstallFixture;
  beforeEach(() => {
    fixture = new InstallFixture();
  });
  afterEach(() => fixture.close());
  const step = async (script: string, fields = {}) => {
    const context = await fixture.context(fields);
    return installStep(context, "pip install", {
      argv: ["/bin/sh", "-c", script],
      cwd: context.home,
      env: { PATH: "/usr/bin:/bin" },
    });
  };

  it("gives its last lines when it fails, and is not tried again for its own faults", async () => {
    const lines = Array.from({ length: 30 }, (_, n) => `line ${n}`).join("\n");
    await expect(
      step(`printf '%s\\n\\n' '${lines}'; echo 'No matching distribution' >&2; exit 1`),
    ).rejects.toMatchObject({
      code: "DEPENDENCY_INSTALL_FAILED",
      message: 'pip install for "web" ended with 1.',
      hint: expect.stringContaining("get_logs of web"),
      details: { last_lines: [...Array.from({ length: 14 }, (_, n) => `line ${n + 16}`), "No matching distribution"] },
    });
    expect(fixture.sink.all).toContain("line 0\n");
    expect(fixture.host.ran).toHaveLength(1);
  });

  it("is tried again after a failure of the network, and says so", async () => {
    await step("test -e tried && exit 0; : > tried; echo 'npm error code ECONNRESET'; exit 1");
    expect(fixture.notices).toEqual([
      {
        type: "retrying",
        service: "web",
        message: "pip install ended with 1: a network failure; try 2 of 4 in 5 ms.",
      },
    ]);
    expect(fixture.sink.all).toContain("[stackwarden] pip install ended with 1");
  });

  it("is given up after four tries", async () => {
    await expect(step("echo Read timed out; kill -9 $$")).rejects.toMatchObject({
      code: "DEPENDENCY_INSTALL_FAILED",
      message: 'pip install for "web" ended with SIGKILL.',
    });
    expect(fixture.host.ran).toHaveLength(4);
  });

  it("ends at once when the start is cancelled, during a try and between two", async () => {
    const running = new AbortController();
    const pending = step("sleep 30", { signal: running.signal });
    setTimeout(() => running.abort(), 50);
    await expect(pending).rejects.toMatchObject({ name: "AbortError" });
    const waiting = new AbortController();
    const retried = step("echo ETIMEDOUT; exit 1", { signal: waiting.signal, baseDelayMs: 60_000 });
    setTimeout(() => waiting.abort(), 100);
    await expect(retried).rejects.toMatchObject({ name: "AbortError" });
  });
});

describe("the rules of an installation", () => {
  it.each([
    ["npm error network request failed, reason: getaddrinfo EAI_AGAIN host", true],
    ["WARNING: Retrying ... NewConnectionError", true],
    ["HTTP error 503 while getting", true],
    ["npm error code E429", true],
    ["ERROR: HTTP error 404 while getting", false],
    ["ERROR: No matching distribution found for nonexistent==503", false],
    ["SyntaxError: line 502", false],
  ])("%s", (output, transient) => {
    expect(isTransient(output)).toBe(transient);
  });

  it("pass the operator's mirrors and certificates on, and no secrets", () => {
    const given = {
      PIP_INDEX_URL: "a",
      npm_config_registry: "b",
      "npm_config_@own:registry": "c",
      NODE_EXTRA_CA_CERTS: "d",
      HTTPS_PROXY: "e",
      PIP_TARGET: "no",
      npm_config_prefix: "no",
      AWS_SECRET_ACCESS_KEY: "no",
      NPM_TOKEN: "no",
      PIP_CERT: undefined,
    };
    expect(Object.keys(mirrorSettings(given)).length).toBe(5);
    expect(Object.values(mirrorSettings(given))).not.toContain("no");
    const env = installerEnvironment({ home: "/h", tmp: "/t", path: ["/own"] });
    expect(env).toMatchObject({ HOME: "/h", TMPDIR: "/t" });
    expect(env.PATH).toMatch(/^\/own:\//);
    expect(installerEnvironment({ home: "/h", tmp: "/t" }).PATH).toMatch(/^\/usr/);
  });

  it("tell apart manifests whose texts only join to the same", () => {
    expect(hashOf(["ab", "c"])).not.toBe(hashOf(["a", "bc"]));
    expect(hashOf(["ab", "c"])).toBe(hashOf(["ab", "c"]));
  });
});
