import { spawnSync } from "node:child_process";
import { lstatSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { newIdentity } from "../../../../src/runtimes/local/providers/cluster-identity.js";
import { clusterTemplate } from "../../../../src/runtimes/local/providers/cluster-template.js";
import type { PrepareContext } from "../../../../src/runtimes/local/providers/launch-plan.js";
import type { RunResult } from "../../../../src/runtimes/local/types.js";
import type { RuntimeService, RuntimeStack } from "../../../../src/stack/runtime.js";
import { withPostgresCache } from "../../../support/postgres-cache.js";
import { freePort, healthcheck } from "../../contract/bench.js";
import { Fixture, service, tempDir, untilHealthy } from "../support/fixture.js";

const check = healthcheck({ kind: "postgres" });
const isRoot = process.getuid?.() === 0;
if (!isRoot) process.stderr.write("cluster-template.test.ts: skipped, services of this user could change a template\n");

describe.skipIf(!isRoot)("the template of new PostgreSQL clusters", () => {
  const fixture = new Fixture();
  let stack: RuntimeStack;
  afterAll(() => fixture.close());

  const cache = join(fixture.serverState, "cache");
  const templates = () => readdirSync(cache).filter((name) => name.startsWith("cluster-"));

  const database = async (name: string, environment: Record<string, string>) => {
    const port = await freePort();
    const db = service(name, {
      image: "postgres:15",
      environment,
      ports: [{ containerPort: 5432, hostPort: port, protocol: "tcp" }],
      mounts: [{ type: "volume", source: name, target: "/var/lib/postgresql/data", readOnly: false }],
    });
    return { db, port };
  };
  const query = async (port: number, login: { user: string; password?: string; database: string }, text: string) => {
    const client = new pg.Client({ host: "127.0.0.1", port, ...login });
    client.on("error", () => {});
    await client.connect();
    try {
      return (await client.query(text)).rows;
    } finally {
      await client.end();
    }
  };
  const start = async (name: string, environment: Record<string, string>) => {
    const { db, port } = await database(name, environment);
    stack = await fixture.open([db]);
    const running = await fixture.start(stack, db);
    expect(await untilHealthy(running, check)).toMatchObject({ healthy: true });
    return { port, running };
  };

  const logins = {
    first: { user: "postgres", password: "one", database: "postgres" },
    second: { user: 'o"wner', password: "it's two", database: "shop" },
  };
  const ports: Record<string, number> = {};
  const services: Record<string, RuntimeService> = {};
  beforeAll(async () => {
    await withPostgresCache(fixture.serverState, { template: false });
    for (const [name, { user, password, database: db }] of Object.entries(logins)) {
      const started = await start(name, { POSTGRES_USER: user, POSTGRES_PASSWORD: password, POSTGRES_DB: db });
      ports[name] = started.port;
      services[name] = started.running;
    }
  });

  it("databases with different users, passwords and names are copies of one template", async () => {
    expect(templates()).toHaveLength(1);
    for (const [name, login] of Object.entries(logins)) {
      const roles = await query(ports[name] as number, login, "select rolname from pg_roles where rolsuper");
      expect(roles).toEqual([{ rolname: login.user }]);
      const wrong = query(ports[name] as number, { ...login, password: "wrong" }, "select 1");
      await expect(wrong).rejects.toMatchObject({ code: "28P01" });
    }
    const databases = await query(ports.second as number, logins.second, "select datname from pg_database order by 1");
    expect(databases.map(({ datname }) => datname)).toEqual(["postgres", "shop", "template0", "template1"]);
  });

  it("each copy of the template has a different system identifier", async () => {
    const text = "select system_identifier from pg_control_system()";
    const [first] = await query(ports.first as number, logins.first, text);
    const [second] = await query(ports.second as number, logins.second, text);
    expect(first.system_identifier).not.toBe(second.system_identifier);
  });

  it("a service can read the template but not change it, and its creation leaves no folder", () => {
    const template = join(cache, templates()[0] as string);
    for (const name of readdirSync(template, { recursive: true, encoding: "utf8" })) {
      const { uid, gid, mode } = lstatSync(join(template, name));
      expect({ name, uid, gid, writable: mode & 0o022 }).toEqual({ name, uid: 0, gid: 0, writable: 0 });
    }
    const uid = services.first?.user.uid as number;
    const asService = (script: string) =>
      spawnSync("/bin/sh", ["-c", script, "sh", template], { uid, gid: uid, encoding: "utf8" });
    expect(asService('cat "$1/PG_VERSION"').stdout).toBe("15\n");
    for (const change of [
      'echo 1 >>"$1/PG_VERSION"',
      'echo 1 >"$1/base/new"',
      'rm "$1/PG_VERSION"',
      'mv "$1" "$1-old"',
    ])
      expect(asService(change).status).not.toBe(0);
    expect(readdirSync(cache).filter((name) => name.startsWith("."))).toEqual([]);
  });

  it("a start with a damaged template succeeds without it, and the next start creates it again", async () => {
    rmSync(join(cache, templates()[0] as string, "global", "1262"));
    await start("third", { POSTGRES_PASSWORD: "three" });
    expect(templates()).toEqual([]);
    await start("fourth", { POSTGRES_PASSWORD: "four" });
    expect(templates()).toHaveLength(1);
  });

  it("a start with options of initdb uses no template", async () => {
    rmSync(join(cache, templates()[0] as string), { recursive: true });
    const environment = { POSTGRES_PASSWORD: "five", POSTGRES_INITDB_ARGS: "--data-checksums" };
    const { port } = await start("fifth", environment);
    const login = { user: "postgres", password: "five", database: "postgres" };
    expect(await query(port, login, "show data_checksums")).toEqual([{ data_checksums: "on" }]);
    expect(templates()).toEqual([]);
  });
});

it("a server that is not root creates no template: its services could change it", async () => {
  const getuid = vi.spyOn(process, "getuid").mockReturnValue(12_345);
  const make = vi.fn();
  try {
    const state = "/nonexistent/stackwarden";
    const host = { sandboxEnforcement: () => ({ level: "enforced", reason: "namespaces" }) };
    const context = { serverStateDir: state, host } as unknown as PrepareContext;
    const bin = join(state, "cache/postgres-15.1/bin");
    expect(await clusterTemplate({ bin, variant: "trust-trust" }, context, make)).toBeNull();
    expect(make).not.toHaveBeenCalled();
  } finally {
    getuid.mockRestore();
  }
});

it.skipIf(!isRoot)("a template that cannot be created is reported, and leaves no folder", async () => {
  const dir = tempDir();
  try {
    const cache = join(dir.path, "cache");
    mkdirSync(cache);
    const notice = vi.fn();
    const context = {
      serverStateDir: dir.path,
      host: { userFor: async () => ({ uid: 12_345, gid: 12_345 }) },
      stack: { notice },
      request: { service: service("db"), signal: new AbortController().signal },
    } as unknown as PrepareContext;
    const failed = { exitCode: 1, output: "creating\ninitdb: error: the reason\n" } as RunResult;
    const cluster = { bin: join(cache, "postgres-15.1/bin"), variant: "trust-trust" };
    expect(await clusterTemplate(cluster, context, async () => failed)).toBeNull();
    expect(notice.mock.calls).toEqual([
      [
        {
          type: "warning",
          service: "db",
          message: expect.stringMatching(/could not be created: initdb: error: the reason$/),
        },
      ],
    ]);
    expect(readdirSync(cache)).toEqual([]);
  } finally {
    dir.remove();
  }
});

describe("newIdentity", () => {
  it("newIdentity refuses a control file whose checksum is not at a known offset", () => {
    expect(newIdentity(Buffer.alloc(8192, 1))).toBeNull();
    expect(newIdentity(Buffer.alloc(10))).toBeNull();
  });
});
