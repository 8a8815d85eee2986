/** Recovery from killed services, servers and watchdogs, cancelled starts and full disks. */
import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import pg from "pg";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type Answer, APP, appCompose, MODES, type Server, smallProject, TestBench, until } from "./support/bench.js";
import { cgroupsOf } from "./support/leftovers.js";

const isRoot = process.getuid?.() === 0;

const DATABASE = `
services:
  db:
    image: postgres:15-alpine
    environment:
      POSTGRES_USER: shop
      POSTGRES_DB: shop
      POSTGRES_PASSWORD: \${DB_PASSWORD}
    ports: ["5432"]
    volumes: ["data:/var/lib/postgresql/data"]
    restart: on-failure
    stop_signal: SIGINT
    healthcheck: { test: [CMD, pg_isready, -U, shop], interval: 500ms, retries: 5, start_period: 60s, start_interval: 100ms }
  cache:
    image: redis:7-alpine
    ports: ["6379"]
    restart: on-failure
    healthcheck: { test: [CMD, redis-cli, ping], interval: 500ms, retries: 5, start_period: 30s, start_interval: 100ms }
volumes: { data: {} }
secrets:
  db-password: { environment: DB_PASSWORD, x-generate: true }
`;

/** Servers of the tests of a bench, which share them until they are killed. */
function serversOf(bench: TestBench) {
  let server: Server | undefined;
  /** The process that runs the stacks. */
  const pid = (): number => {
    const running = bench.mode === "shared" ? bench.background() : server?.pid;
    if (running === null || running === undefined) throw new Error("no server runs");
    return running;
  };
  return {
    pid,
    /** The server of the test before, unless it was killed. A client of a killed background server starts the next one. */
    async serve(): Promise<Server> {
      server ??= await bench.server();
      return server;
    },
    /** @returns the process id of the killed server */
    kill(): number {
      const killed = pid();
      if (!bench.pids.includes(killed)) bench.pids.push(killed);
      process.kill(killed, "SIGKILL");
      if (bench.mode === "standalone") server = undefined;
      return killed;
    },
  };
}

/** Files of a project whose service answers its checks with 404. */
const neverHealthy = (startPeriod: string) => {
  const files = smallProject();
  return {
    "compose.yaml": files["compose.yaml"].replace("start_period: 20s", `start_period: ${startPeriod}`),
    "app.py": files["app.py"].replace("200 OK", "404 Not Found"),
  };
};

describe("data of a database", () => {
  const bench = new TestBench("shared");
  const { serve, kill } = serversOf(bench);
  beforeAll(() => bench.withPostgres());
  afterAll(() => bench.close());

  const connect = async (started: Answer, project: string) => {
    const secrets = JSON.parse(readFileSync(join(bench.state, "projects", project, "secrets.json"), "utf8"));
    const client = new pg.Client({
      host: "127.0.0.1",
      port: started.after.services.db.endpoints[0].host_port,
      user: "shop",
      database: "shop",
      password: Object.values(secrets)[0] as string,
    });
    client.on("error", () => undefined);
    await client.connect();
    return client;
  };
  it("data that PostgreSQL acknowledged survives a killed server, which leaves no process running", async () => {
    bench.project("shop", { "compose.yaml": DATABASE });
    const first = await serve();
    const started = await first.call("start_stack", { project: "shop", folder: "shop" });
    expect(started.status).toBe("healthy");
    const client = await connect(started, "shop");
    await client.query("create table t (x int)");
    await client.query("insert into t values (42)");
    const killed = kill();
    await until(
      "everything of the killed server is gone",
      () => cgroupsOf(killed).length === 0 && bench.processes().length === 0,
    );
    const second = await serve();
    const again = await second.call("start_stack", { project: "shop" });
    expect(again.status).toBe("healthy");
    const check = await connect(again, "shop");
    expect((await check.query("select x from t")).rows).toEqual([{ x: 42 }]);
    const secret = JSON.parse(readFileSync(join(bench.state, "projects", "shop", "secrets.json"), "utf8"));
    const [password] = Object.values(secret) as string[];
    // The data also survives a crash of the database.
    process.kill(again.after.services.db.pid, "SIGKILL");
    await until(
      "the crash",
      async () => (await second.call("get_events", { project: "shop", types: ["service_crashed"] })).events.length > 0,
    );
    expect((await second.call("health_status", { project: "shop", wait_for: "healthy" })).overall_healthy).toBe(true);
    const last = await connect(again, "shop");
    expect((await last.query("select x from t")).rows).toEqual([{ x: 42 }]);
    await last.end();
    // No secret in reports and arguments, and ports on 127.0.0.1 only.
    const everything = JSON.stringify([
      again,
      await second.call("get_logs", { project: "shop", tail: 1000 }),
      await second.call("get_events", { project: "shop", limit: 1000 }),
    ]);
    expect(everything).not.toContain(password);
    expect(execFileSync("ps", ["-eo", "args"], { encoding: "utf8" })).not.toContain(password);
    expect(statSync(join(bench.state, "projects", "shop", "secrets.json")).mode & 0o777).toBe(0o600);
    const listening = execFileSync("ss", ["-ltnH"], { encoding: "utf8" });
    for (const service of ["db", "cache"]) {
      const port = again.after.services[service].endpoints[0].host_port;
      const addresses = listening
        .split("\n")
        .filter((line) => line.includes(`:${port} `))
        .map((line) => line.split(/\s+/)[3] ?? "")
        // Addresses in 127.64.0.0/10 are those of stacks, also of other servers.
        .filter((address) => !/^127\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7])\./.test(address));
      expect(addresses).toEqual([`127.0.0.1:${port}`]);
    }
  });

  it("volumes are deleted only with remove_volumes and confirm", async () => {
    bench.project("shop", { "compose.yaml": DATABASE });
    const server = await serve();
    await server.call("start_stack", { project: "shop", folder: "shop" });
    const volume = join(bench.state, "projects", "shop", "volumes", "data");
    expect(await server.refused("stop_stack", { project: "shop", remove_volumes: true })).toMatchObject({
      code: "CONFIRMATION_REQUIRED",
    });
    await server.call("stop_stack", { project: "shop" });
    expect(existsSync(volume)).toBe(true);
    const removed = await server.call("stop_stack", { project: "shop", remove_volumes: true, confirm: true });
    expect(removed).toMatchObject({ status: "already_stopped", removed_volumes: ["data"] });
    expect(existsSync(volume)).toBe(false);
    expect((await server.call("start_stack", { project: "shop" })).status).toBe("healthy");
  });
});

describe.each(MODES)("recovery, %s", (mode) => {
  const bench = new TestBench(mode);
  const { serve, kill, pid } = serversOf(bench);
  afterEach(async () => {
    const server = await serve();
    const { stacks } = await server.call("list_stacks");
    for (const { project, state } of stacks) if (state !== "stopped") await server.call("stop_stack", { project });
  });
  afterAll(() => bench.close());

  const watchdogOf = (server: number) =>
    Number(
      execFileSync("ps", ["-eo", "pid,args"], { encoding: "utf8" })
        .split("\n")
        .find((line) => line.includes("watchdog.js") && line.includes(join(bench.state, "run", `${server}.json`)))
        ?.trim()
        .split(" ")[0],
    );

  it("a killed watchdog is restarted, and ends what a killed server leaves", async () => {
    bench.project("watched", smallProject());
    const server = await serve();
    await server.call("start_stack", { project: "watched", folder: "watched" });
    const first = watchdogOf(pid());
    process.kill(first, "SIGKILL");
    const second = await until("another watchdog", () => {
      const other = watchdogOf(pid());
      return other > 0 && other !== first && other;
    });
    expect(second).not.toBe(first);
    const killed = kill();
    await until("nothing is left", () => cgroupsOf(killed).length === 0 && bench.processes().length === 0);
  });

  it("the next server removes what a killed server and a killed watchdog left", async () => {
    bench.project("swept", smallProject());
    const server = await serve();
    await server.call("start_stack", { project: "swept", folder: "swept" });
    const watchdog = watchdogOf(pid());
    // Stopped, so that the watchdog cannot act before it is killed.
    process.kill(watchdog, "SIGSTOP");
    const killed = kill();
    process.kill(watchdog, "SIGKILL");
    // With namespaces the processes end with the server; run files and cgroups remain for the sweep.
    expect(bench.processes().length + cgroupsOf(killed).length).toBeGreaterThan(0);
    const next = await serve();
    expect((await next.call("start_stack", { project: "swept" })).status).toBe("healthy");
    expect(cgroupsOf(killed)).toEqual([]);
  });

  it("a cancelled start is rolled back", async () => {
    bench.project("cancelled", neverHealthy("300s"));
    const server = await serve();
    const cancel = new AbortController();
    const starting = server.call(
      "start_stack",
      { project: "cancelled", folder: "cancelled" },
      {
        signal: cancel.signal,
        onprogress: ({ message }) => {
          if (message?.includes("app runs")) cancel.abort("enough");
        },
      },
    );
    await expect(starting).rejects.toThrow(/enough/);
    const stopped = await server.call("health_status", {
      project: "cancelled",
      wait_for: "stopped",
      timeout_seconds: 20,
    });
    expect(stopped.wait).toMatchObject({ met: true });
    expect(cgroupsOf(pid())).toEqual([]);
    const { events } = await server.call("get_events", { project: "cancelled" });
    expect(events.map((event: Answer) => event.type)).toContain("stack_start_failed");
  });

  it("a start that exceeds its deadline reports the missing services", async () => {
    bench.project("slow", neverHealthy("300s"));
    // The server has this setting from its own environment, or a background server from the client's.
    const client = await bench.server({ STACKWARDEN_START_TIMEOUT_SECONDS: "3" });
    const waiting = await client.call("start_stack", { project: "slow", folder: "slow", timeout_seconds: 1 });
    expect(waiting).toMatchObject({ status: "starting", verified: false, missing: [{ service: "app" }] });
    expect(waiting.next.operation).toBe("health_status");
    expect(await client.refused("start_stack", { project: "slow" })).toMatchObject({ code: "START_TIMEOUT" });
    expect(cgroupsOf(client.pid)).toEqual([]);
  });

  if (mode === "standalone") {
    it("a second server is refused a stack that another one runs", async () => {
      bench.project("locked", smallProject());
      const [first, second] = [await serve(), await bench.server()];
      await first.call("start_stack", { project: "locked", folder: "locked" });
      expect(await second.refused("start_stack", { project: "locked" })).toMatchObject({
        code: "PROJECT_LOCKED",
        details: { pid: first.pid },
      });
      await first.call("stop_stack", { project: "locked" });
      expect((await second.call("start_stack", { project: "locked" })).status).toBe("healthy");
    });
    return;
  }
  // The modes do not differ in the rest.

  it("a start whose dependency never becomes healthy fails with its reason and leaves nothing running", async () => {
    const web =
      "  web:\n    image: python:3.11-alpine\n    depends_on: { app: { condition: service_healthy } }\n    x-local: { command: [python3, app.py] }\n";
    const files = neverHealthy("0s");
    bench.project("waiting", { ...files, "compose.yaml": `${files["compose.yaml"].trimEnd()}\n${web}` });
    const server = await serve();
    const error = await server.refused("start_stack", { project: "waiting", folder: "waiting" });
    expect(error).toMatchObject({ code: "SERVICE_START_FAILED", details: { service: "app" } });
    expect(error.message).toContain("HTTP 404");
    expect(error.details?.last_lines).toContainEqual(expect.stringContaining("listening on"));
    expect(cgroupsOf(pid())).toEqual([]);
    expect((await server.call("health_status", { project: "waiting" })).state).toBe("stopped");
  });

  it("two projects with the same port run side by side", async () => {
    for (const name of ["one", "two"]) bench.project(name, smallProject());
    const server = await serve();
    const started = await Promise.all(
      ["one", "two"].map((name) => server.call("start_stack", { project: name, folder: name })),
    );
    const urls = started.map(({ after }) => after.services.app.endpoints[0].url);
    expect(new Set(urls).size).toBe(2);
    for (const url of urls) expect((await fetch(`${url}/health`)).status).toBe(200);
    const users = started.map(({ after }) => after.services.app.user.uid);
    if (isRoot) expect(new Set(users).size).toBe(2);
  });

  it("a fixed port in use is refused with its service and a free one, and nothing starts", async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
    const { port } = taken.address() as { port: number };
    try {
      bench.project("fixed", smallProject("", String(port)));
      const server = await serve();
      const error = await server.refused("start_stack", { project: "fixed", folder: "fixed" });
      expect(error.code).toBe("PORT_IN_USE");
      expect(error.message).toContain(String(port));
      expect(error.message).toContain("app");
      expect(cgroupsOf(pid())).toEqual([]);
      const other = await server.call("start_stack", { project: "fixed", ports: error.details?.free_ports });
      expect(other.status).toBe("healthy");
    } finally {
      taken.close();
    }
  });

  it("a project in a read-only folder runs, and nothing is written into the folder", async () => {
    const folder = bench.project("unwritable", smallProject());
    const server = await serve();
    chmodSync(folder, 0o555);
    const before = readdirSync(folder);
    expect((await server.call("start_stack", { project: "unwritable", folder: "unwritable" })).status).toBe("healthy");
    await server.call("restart_service", { project: "unwritable", service: "app" });
    expect(readdirSync(folder)).toEqual(before);
    chmodSync(folder, 0o755);
  });
});

describe("recovery from a full disk", () => {
  // The log and the lock of the background server are on the full disk as well.
  const bench = new TestBench("shared");
  afterAll(() => bench.close());

  it.runIf(isRoot)("a stack continues on a full disk, with a warning and its newest lines", async () => {
    mkdirSync(bench.state, { mode: 0o711 });
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=3m,mode=0711", "tmpfs", bench.state]);
    try {
      bench.project("shop", { "compose.yaml": appCompose(), "app.js": APP });
      const server = await bench.server();
      const started = await server.call("start_stack", { project: "shop", folder: "shop" });
      const { url } = started.after.services.app.endpoints[0];
      await fetch(`${url}/flood?lines=150000`);
      await until(
        "the end",
        async () => (await server.call("get_logs", { project: "shop", grep: "flood done" })).lines.length > 0,
      );
      expect((await server.call("health_status", { project: "shop", fresh: true })).overall_healthy).toBe(true);
      const { events } = await server.call("get_events", { project: "shop", types: ["warning"] });
      expect(events.map((event: Answer) => event.message).join()).toContain("ENOSPC");
      await server.call("stop_stack", { project: "shop" });
      await server.close();
      await bench.endBackground();
    } finally {
      execFileSync("umount", ["-l", bench.state]);
      rmSync(bench.state, { recursive: true, force: true });
    }
  });
});
