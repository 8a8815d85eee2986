import { execFileSync } from "node:child_process";
import { chownSync, mkdirSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { dependencies, downloadCache, hashOf } from "../../../../src/runtimes/local/install/dependency-cache.js";
import type { InstallContext } from "../../../../src/runtimes/local/install/install-context.js";
import { installStep, lastLines } from "../../../../src/runtimes/local/install/install-step.js";
import { installerEnvironment } from "../../../../src/runtimes/local/install/installer-environment.js";
import { isTransient } from "../../../../src/runtimes/shared/install-faults.js";
import { mirrorSettings } from "../../../../src/runtimes/shared/mirror-settings.js";
import { InstallFixture } from "../support/install-context.js";

const isRoot = process.getuid?.() === 0;

describe("dependencies", () => {
  let fixture: InstallFixture;
  const environments = () => readdirSync(join(fixture.stateDir, "deps/environments")).sort();
  const fill = async (dir: string) => writeFileSync(join(dir, "installed"), "", { mode: 0o666 });
  const install = (context: InstallContext, name: string, build = fill, exclusive = false) =>
    dependencies(context, { parts: [name], exclusive, build });

  beforeEach(() => {
    fixture = new InstallFixture();
  });
  afterEach(() => fixture.close());

  it("equal parts are built once by the service's user, and the result belongs to the server", async () => {
    const context = await fixture.context();
    let built = 0;
    const build = async (dir: string) => {
      built++;
      expect(statSync(dir).mode & 0o777).toBe(0o700);
      expect(statSync(dir).uid).toBe(context.user.uid);
      await fill(dir);
    };
    const first = await install(context, "one", build);
    const second = await install(context, "one", build);
    expect([first.installed, second.installed, built]).toEqual([true, false, 1]);
    expect(second.dir).toBe(first.dir);
    expect(statSync(`${first.dir}.complete`).uid).toBe(process.getuid?.());
    expect(fixture.notices).toEqual([{ type: "installing", service: "web", message: "Installing dependencies." }]);
    expect(fixture.phases).toEqual(["installing dependencies"]);
    if (!isRoot) return;
    const { uid, gid, mode } = statSync(first.dir);
    expect([uid, gid, mode & 0o777]).toEqual([0, context.user.gid, 0o750]);
    expect(statSync(join(first.dir, "installed")).mode & 0o777).toBe(0o644);
  });

  it("concurrent calls with equal parts build once", async () => {
    const context = await fixture.context();
    let built = 0;
    const build = async (dir: string) => {
      built++;
      await new Promise((resolve) => setTimeout(resolve, 20));
      await fill(dir);
    };
    const all = await Promise.all([1, 2, 3].map(() => install(context, "one", build)));
    expect(built).toBe(1);
    expect(all.filter(({ installed }) => installed)).toHaveLength(1);
  });

  it("services with equal parts share a folder that none of them can change", async () => {
    const [web, worker] = [await fixture.context(), await fixture.context({ service: "worker" })];
    const [first, second] = await Promise.all([install(web, "one"), install(worker, "one")]);
    expect(second.dir).toBe(first.dir);
    expect([first.installed, second.installed].sort()).toEqual([false, true]);
    if (!isRoot) return;
    for (const { user } of [web, worker]) {
      const as = { uid: user.uid, gid: user.gid, encoding: "utf8", stdio: "pipe" } as const;
      expect(execFileSync("/bin/ls", [first.dir], as)).toBe("installed\n");
      for (const script of [`echo x >> ${first.dir}/installed`, `rm ${first.dir}/installed`, `: > ${first.dir}/new`])
        expect(() => execFileSync("/bin/sh", ["-c", script], as)).toThrow(/Permission denied/);
    }
  });

  it("an exclusive folder belongs to one service, which can write to it", async () => {
    const [web, worker] = [await fixture.context(), await fixture.context({ service: "worker" })];
    const [first, second] = [await install(web, "one", fill, true), await install(worker, "one", fill, true)];
    expect(second.dir).not.toBe(first.dir);
    expect(statSync(first.dir).uid).toBe(web.user.uid);
    expect(statSync(first.dir).mode & 0o777).toBe(0o700);
  });

  it("a folder is removed when no service uses it, and so are folders of earlier versions", async () => {
    const [web, worker] = [await fixture.context(), await fixture.context({ service: "worker" })];
    mkdirSync(join(fixture.stateDir, "deps/web/oldhash"), { recursive: true });
    const one = await install(web, "one");
    await install(worker, "one");
    const two = await install(web, "two");
    const names = (...dirs: string[]) => dirs.flatMap((dir) => [basename(dir), `${basename(dir)}.complete`]).sort();
    expect(environments()).toEqual(names(one.dir, two.dir));
    await install(worker, "two");
    expect(environments()).toEqual(names(two.dir));
    expect(readdirSync(join(fixture.stateDir, "deps")).sort()).toEqual(["environments", "uses"]);
  });

  it("folders and downloads of a service outside of the stack are removed after two weeks", async () => {
    const [web, worker] = [await fixture.context(), await fixture.context({ service: "worker" })];
    await install(worker, "one");
    await downloadCache(worker);
    await install({ ...web, services: ["web"] }, "two");
    expect(environments()).toHaveLength(4);
    const long = new Date(Date.now() - 15 * 24 * 3_600_000);
    utimesSync(join(fixture.stateDir, "deps/uses/worker"), long, long);
    await install({ ...web, services: ["web"] }, "two");
    expect(environments()).toHaveLength(2);
    expect(readdirSync(join(fixture.stateDir, "deps/downloads"))).toEqual([]);
  });

  it("an interrupted build is repeated, and a failed build leaves no files", async () => {
    const context = await fixture.context();
    const { dir } = await install(context, "one");
    rmSync(`${dir}.complete`);
    writeFileSync(join(dir, "half"), "");
    await install(context, "one");
    expect(readdirSync(dir)).toEqual(["installed"]);
    await expect(
      install(context, "two", async () => {
        throw new Error("broken");
      }),
    ).rejects.toThrow("broken");
    expect(environments()).toEqual([basename(dir), `${basename(dir)}.complete`]);
    expect((await install(context, "one")).installed).toBe(false);
  });

  it("a folder that is missing or belongs to another user is built again", async () => {
    const context = await fixture.context();
    const { dir } = await install(context, "one");
    rmSync(dir, { recursive: true });
    expect((await install(context, "one")).installed).toBe(true);
    if (!isRoot) return;
    chownSync(dir, context.user.uid, context.user.gid);
    expect((await install(context, "one")).installed).toBe(true);
    expect(statSync(dir).uid).toBe(0);
  });

  it("a cancelled start builds no dependencies", async () => {
    const context = await fixture.context({ signal: AbortSignal.abort() });
    await expect(install(context, "one")).rejects.toMatchObject({ name: "AbortError" });
    expect(environments()).toEqual([]);
  });
});

describe("installStep", () => {
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

  it("a failed step reports its last lines and is not retried when the network did not fail", async () => {
    const lines = Array.from({ length: 30 }, (_, n) => `line ${n}`).join("\n");
    await expect(
      step(`printf '%s\\n\\n' '${lines}'; echo 'No matching distribution' >&2; exit 1`),
    ).rejects.toMatchObject({
      code: "DEPENDENCY_INSTALL_FAILED",
      message: 'pip install for "web" ended with 1.',
      hint: expect.stringContaining('get_logs {"service": "web", "stream": "install"}'),
      details: { last_lines: [...Array.from({ length: 14 }, (_, n) => `line ${n + 16}`), "No matching distribution"] },
    });
    expect(fixture.sink.all).toContain("line 0\n");
    expect(fixture.host.ran).toHaveLength(1);
  });

  it("a step is retried after a network failure, with a notice", async () => {
    await step("test -e tried && exit 0; : > tried; echo 'npm error code ECONNRESET'; exit 1");
    expect(fixture.notices).toEqual([
      {
        type: "retrying",
        service: "web",
        message: "pip install ended with 1 because of the network; retrying in 5 ms (attempt 2 of 4).",
      },
    ]);
    expect(fixture.sink.all).toContain("[stackwarden] pip install ended with 1");
  });

  it("a step is retried as often as the operator's settings allow", async () => {
    await expect(step("echo Read timed out; exit 1", { retry: { maxRetries: 1, baseDelayMs: 1 } })).rejects.toThrow();
    expect(fixture.host.ran).toHaveLength(2);
  });

  it("a step fails after four attempts", async () => {
    await expect(step("echo Read timed out; kill -9 $$")).rejects.toMatchObject({
      code: "DEPENDENCY_INSTALL_FAILED",
      message: 'pip install for "web" ended with SIGKILL.',
    });
    expect(fixture.host.ran).toHaveLength(4);
  });

  it("a cancelled start ends a running step and the wait before a retry", async () => {
    const running = new AbortController();
    const pending = step("sleep 30", { signal: running.signal });
    setTimeout(() => running.abort(), 50);
    await expect(pending).rejects.toMatchObject({ name: "AbortError" });
    const waiting = new AbortController();
    const retried = step("echo ETIMEDOUT; exit 1", {
      signal: waiting.signal,
      retry: { maxRetries: 3, baseDelayMs: 60_000 },
    });
    setTimeout(() => waiting.abort(), 100);
    await expect(retried).rejects.toMatchObject({ name: "AbortError" });
  });
});

describe("rules of an installation", () => {
  it("lastLines omits a line that may hold only part of a secret", () => {
    const secret = "s3cr3t-".repeat(10);
    const output = `${`${"x".repeat(63)}\n`.repeat(1023)}${secret}`.slice(0, 64 * 1024);
    expect(output).toContain("s3cr3t");
    expect(output).not.toContain(secret);
    expect(lastLines(output).join("\n")).not.toContain("s3c");
    expect(lastLines("a\n\nb  \n")).toEqual(["a", "b"]);
  });

  it.each([
    ["npm error network request failed, reason: getaddrinfo EAI_AGAIN host", true],
    ["WARNING: Retrying ... NewConnectionError", true],
    ["HTTP error 503 while getting", true],
    ["npm error code E429", true],
    ["ERROR: HTTP error 404 while getting", false],
    ["ERROR: No matching distribution found for nonexistent==503", false],
    ["SyntaxError: line 502", false],
  ])("isTransient(%j) returns %j", (output, transient) => {
    expect(isTransient(output)).toBe(transient);
  });

  it("installers receive the operator's mirrors and certificates, and no secrets", () => {
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

  it("hashOf returns different hashes for parts that join to the same text", () => {
    expect(hashOf(["ab", "c"])).not.toBe(hashOf(["a", "bc"]));
    expect(hashOf(["ab", "c"])).toBe(hashOf(["ab", "c"]));
  });
});
