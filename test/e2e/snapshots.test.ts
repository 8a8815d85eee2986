/** Snapshots of real databases: PostgreSQL during writes, and Redis in a container. */
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startDaemon, type TestDaemon, whyNoDaemon } from "../support/docker/daemon.mjs";
import { type Answer, type Server, TestBench, until } from "./support/bench.js";

const PASSWORD = "a-password-of-the-test";
const compose = (password: string): string => `
services:
  db:
    image: postgres:15-alpine
    environment: { POSTGRES_USER: shop, POSTGRES_DB: shop, POSTGRES_PASSWORD: "${password}" }
    ports: ["5432"]
    volumes: ["data:/var/lib/postgresql/data"]
    healthcheck: { test: ["CMD", "pg_isready"], interval: 1s, timeout: 5s, retries: 30 }
volumes: { data: {} }
`;

/** One background server for both runtimes. */
const bench = new TestBench();
afterAll(() => bench.close());

describe("snapshots of a real database", () => {
  let server: Server;

  const connect = async (project: string): Promise<pg.Client> => {
    const { stacks } = await server.call("list_stacks");
    const { services } = stacks.find((stack: { project: string }) => stack.project === project);
    const [{ host_port: port }] = services.db.endpoints;
    const client = new pg.Client({ host: "127.0.0.1", port, user: "shop", database: "shop", password: PASSWORD });
    await client.connect();
    return client;
  };
  const query = async (project: string, text: string) => {
    const client = await connect(project);
    try {
      return (await client.query(text)).rows;
    } finally {
      await client.end();
    }
  };

  beforeAll(async () => {
    await bench.withPostgres();
    bench.project("shop", { "compose.yaml": compose(PASSWORD) });
    bench.project("copy", { "compose.yaml": compose(PASSWORD) });
    server = await bench.server();
    await server.call("start_stack", { project: "shop", timeout_seconds: 300 });
    await query("shop", "create table rows (n int)");
    await query("shop", "insert into rows values (41)");
  }, 300_000);

  it("a snapshot during writes restores a consistent state of the database", async () => {
    let writing = true;
    let written = 0;
    const writer = (async () => {
      const client = await connect("shop");
      try {
        for (; writing; await sleep(2)) {
          await client.query("insert into rows select generate_series(100, 200)");
          written += 1;
        }
      } finally {
        await client.end();
      }
    })();
    // The test awaits the writer at its end, so that an error of the writer is not an unhandled one before.
    writer.catch(() => undefined);
    let saved: Answer;
    try {
      await until("the writer writes", () => written > 0);
      const before = written;
      saved = await server.call("save_snapshot", { project: "shop", name: "seeded" });
      await until("the writer writes again after the snapshot", () => written > before);
    } finally {
      // Without this end, the writer outlives a failed test.
      writing = false;
      await writer;
    }
    expect(saved.snapshot).toMatchObject({ name: "seeded", runtime: "local", automatic: false });
    expect(saved.snapshot.bytes).toBeGreaterThan(1_000_000);
    await query("shop", "drop table rows");
    expect((await server.refused("restore_snapshot", { project: "shop", snapshot: "seeded" })).code).toBe(
      "CONFIRMATION_REQUIRED",
    );
    const restore = { project: "shop", snapshot: "seeded", confirm: true };
    expect((await server.refused("restore_snapshot", restore)).code).toBe("STACK_RUNNING");
    await server.call("stop_stack", { project: "shop", remove_volumes: true, snapshot: false, confirm: true });
    await server.call("restore_snapshot", restore);
    await server.call("start_stack", { project: "shop", timeout_seconds: 300 });
    const [{ count }] = await query("shop", "select count(*)::int from rows where n = 41");
    expect(count).toBe(1);
    // Each transaction wrote 101 rows.
    const [{ rest }] = await query("shop", "select (count(*) % 101)::int as rest from rows where n >= 100");
    expect(rest).toBe(0);
  }, 300_000);

  it("data_from starts another project on a separate copy of the data", async () => {
    const started = await server.call("start_stack", {
      project: "copy",
      data_from: { project: "shop" },
      timeout_seconds: 300,
    });
    expect(started.verified).toBe(true);
    expect(await query("copy", "select n from rows where n = 41")).toEqual([{ n: 41 }]);
    await query("copy", "delete from rows");
    expect(await query("shop", "select n from rows where n = 41")).toEqual([{ n: 41 }]);
    const stopped = await server.call("stop_stack", { project: "copy", remove_volumes: true, confirm: true });
    expect(stopped.snapshot).toMatch(/^\d{8}-\d{6}/);
    const { snapshots } = await server.call("list_snapshots", { project: "copy" });
    expect(snapshots).toMatchObject([{ name: stopped.snapshot, automatic: true }]);
    await server.call("delete_snapshot", { project: "copy", snapshot: stopped.snapshot, confirm: true });
    expect((await server.call("list_snapshots", { project: "copy" })).snapshots).toEqual([]);
  }, 300_000);
});

const skip = whyNoDaemon();
if (skip !== null) process.stderr.write(`snapshots.test.ts: the docker part is skipped, ${skip}\n`);

describe.skipIf(skip !== null)("snapshots of Redis in a container", () => {
  let daemon: TestDaemon;
  let server: Server;

  const redis = async (...words: string[]): Promise<string> => {
    const command = ["redis-cli", ...words];
    return (await server.call("run_command", { project: "store", service: "cache", command })).stdout.trim();
  };

  beforeAll(async () => {
    daemon = await startDaemon({ shortFilter: true });
    bench.project("store", {
      "compose.yaml": `
services:
  cache:
    image: redis:7-alpine
    command: redis-server --requirepass ${PASSWORD}
    environment: { REDISCLI_AUTH: ${PASSWORD} }
    volumes: ["data:/data"]
volumes: { data: {} }
`,
    });
    server = await bench.server({ STACKWARDEN_RUNTIME: "docker", STACKWARDEN_DOCKER_HOST: daemon.host });
    await server.call("start_stack", { project: "store", timeout_seconds: 120 });
  }, 300_000);
  afterAll(async () => {
    try {
      await server?.call("stop_stack", { project: "store" });
    } finally {
      await daemon?.close();
    }
  });

  it("a snapshot contains what Redis had only in memory", { timeout: 300_000 }, async () => {
    expect(await redis("set", "key", "written")).toBe("OK");
    const saved = await server.call("save_snapshot", { project: "store", name: "one" });
    expect(saved.message).toMatch(/^Snapshot one: \d+\.\d MB of data\.$/);
    expect(saved.snapshot.volumes.data).toBeGreaterThan(0);
    await redis("set", "key", "later");
    await server.call("stop_stack", { project: "store", remove_volumes: true, snapshot: false, confirm: true });
    await server.call("restore_snapshot", { project: "store", snapshot: "one", confirm: true });
    await server.call("start_stack", { project: "store", timeout_seconds: 120 });
    expect(await redis("get", "key")).toBe("written");
  });
});
