import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { initdbOptions, postgresSettings } from "../../../../src/runtimes/local/providers/postgres-options.js";
import type { ServiceDefinition } from "../../../../src/stack/definition/types.js";
import type { RuntimeService, RuntimeStack } from "../../../../src/stack/runtime.js";
import { withPostgresCache } from "../../../support/postgres-cache.js";
import { freePort, healthcheck } from "../../contract/bench.js";
import { Fixture, PASSWORD, service, untilHealthy } from "../support/fixture.js";

const check = healthcheck({ kind: "cmd", argv: ["pg_isready", "-U", "commandcenter"] });
const isRoot = process.getuid?.() === 0;

describe("the postgres provider", () => {
  const fixture = new Fixture();
  let stack: RuntimeStack;
  let running: RuntimeService;
  let db: ServiceDefinition;
  let port: number;

  const client = async (password = PASSWORD, database = 'command"center') => {
    const one = new pg.Client({ host: "127.0.0.1", port, user: "commandcenter", password, database });
    one.on("error", () => {});
    await one.connect();
    return one;
  };

  beforeAll(async () => {
    await withPostgresCache(fixture.serverState);
    port = await freePort();
    db = service("postgres", {
      image: "postgres:15-alpine",
      environment: { POSTGRES_USER: "commandcenter", POSTGRES_DB: 'command"center', POSTGRES_PASSWORD: PASSWORD },
      ports: [{ containerPort: 5432, hostPort: port, protocol: "tcp" }],
      mounts: [{ type: "volume", source: "pg-data", target: "/var/lib/postgresql/data", readOnly: false }],
      command: ["postgres", "-c", "max_connections=37"],
    });
    stack = await fixture.open([db]);
    running = await fixture.start(stack, db);
  });
  afterAll(() => fixture.close());

  it("pg_isready is replaced by a query, which the check names", async () => {
    const result = await untilHealthy(running, check);
    expect(result).toMatchObject({ healthy: true, message: "select 1 answered" });
    expect(result.check).toBe(`postgres select 1 on 127.0.0.1:${port}/command"center`);
  });

  it("the server uses the definition's settings, fsync, UTF8 and SCRAM passwords", async () => {
    const one = await client();
    const setting = async (name: string) => (await one.query(`show ${name}`)).rows[0][name];
    expect(await setting("max_connections")).toBe("37");
    expect(await setting("fsync")).toBe("on");
    expect(await setting("server_encoding")).toBe("UTF8");
    expect(await setting("password_encryption")).toBe("scram-sha-256");
    expect(await setting("unix_socket_directories")).toBe("");
    await one.end();
    await expect(client("wrong")).rejects.toMatchObject({ code: "28P01" });
  });

  it("the server sorts and compares letters outside of ASCII", async () => {
    const one = await client();
    const text = async (query: string) => (await one.query(query)).rows.map((row: { x: unknown }) => row.x);
    expect(await text(`select x from (values ('Zebra'), ('Äpfel'), ('apfel')) v(x) order by x`)).toEqual([
      "apfel",
      "Äpfel",
      "Zebra",
    ]);
    expect(await text(`select 'ÄPFEL' ilike 'äpfel' as x`)).toEqual([true]);
    await one.end();
  });

  it("the server runs as an unprivileged user, and only that user can read the data", () => {
    const data = statSync(join(fixture.stateDir, "volumes/pg-data/pgdata"));
    expect(data.mode & 0o777).toBe(0o700);
    expect(running.user.uid).toBe(data.uid);
    if (isRoot) expect(data.uid).toBeGreaterThanOrEqual(70_000);
    expect(readdirSync(join(fixture.stateDir, "volumes/pg-data"))).toEqual(["created-with.json", "pgdata"]);
  });

  it("the server listens on 127.0.0.1 only", () => {
    const lines = execFileSync("ss", ["-ltnH"], { encoding: "utf8" })
      .split("\n")
      .filter((line) => line.includes(`:${port} `));
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain(`127.0.0.1:${port}`);
  });

  it("the password is not in the process list, in the environment or in an argument", () => {
    const list = execFileSync("ps", ["-eo", "args"], { encoding: "utf8" });
    expect(list).toContain(`port=${port}`);
    expect(list).not.toContain("s3cret");
    expect(readFileSync(`/proc/${running.pid}/environ`, "utf8")).not.toContain("s3cret");
    expect(JSON.stringify((fixture.host as { ran?: string[][] }).ran)).not.toContain("s3cret");
  });

  it("acknowledged rows survive SIGKILL and a stop, and no shared memory remains", async () => {
    await untilHealthy(running, check);
    const one = await client();
    await one.query("create table kept (n int)");
    await one.query("insert into kept values (41)");
    process.kill(running.pid ?? 0, "SIGKILL");
    expect(await running.exited).toMatchObject({ signal: "SIGKILL" });
    await running.stop({ graceMs: 1000 });
    const segments = () =>
      execFileSync("ipcs", ["-m"], { encoding: "utf8" })
        .split("\n")
        .filter((line) => line.includes(` ${running.user.uid} `));
    // The kernel removes a segment when the last process that uses it ends.
    if (isRoot) await vi.waitFor(() => expect(segments()).toEqual([]), { timeout: 30_000, interval: 100 });
    await one.end().catch(() => {});

    running = await fixture.start(stack, db);
    await untilHealthy(running, check);
    const two = await client();
    await two.query("insert into kept values (42)");
    const stopped = await running.stop({ graceMs: 10_000 });
    expect(stopped).toMatchObject({ exitCode: 0, signal: null });
    expect(fixture.log("postgres")).toContain("fast shutdown");
    await two.end().catch(() => {});

    running = await fixture.start(stack, db);
    await untilHealthy(running, check);
    const three = await client();
    expect((await three.query("select n from kept order by n")).rows).toEqual([{ n: 41 }, { n: 42 }]);
    await three.end();
    expect(fixture.phases.filter((phase) => phase === "initialising the database")).toHaveLength(1);
  });

  it("a check explains that an existing volume has another password or lacks the database", async () => {
    await running.stop({ graceMs: 10_000 });
    const other = { ...db, environment: { ...db.environment, POSTGRES_PASSWORD: "another" } };
    running = await fixture.start(stack, other);
    const until = Date.now() + 10_000;
    let result = await running.probe(check, AbortSignal.timeout(5000));
    while (!result.message.includes("initialised") && Date.now() < until) {
      result = await running.probe(check, AbortSignal.timeout(5000));
    }
    expect(result).toMatchObject({ healthy: false });
    expect(result.message).toContain("Put the former POSTGRES_USER and POSTGRES_PASSWORD back");
    expect(result.message).not.toContain("another");
    await running.stop({ graceMs: 10_000 });
    running = await fixture.start(stack, { ...db, environment: { ...db.environment, POSTGRES_DB: "absent" } });
    let missing = await running.probe(check, AbortSignal.timeout(5000));
    while (!missing.message.includes("POSTGRES_DB") && Date.now() < until) {
      missing = await running.probe(check, AbortSignal.timeout(5000));
    }
    expect(missing.message).toContain("the database does not exist");
    await running.stop({ graceMs: 10_000 });
  });

  it("data of another major version is refused and stays unchanged", async () => {
    const old = { ...db, mounts: [{ type: "volume" as const, source: "old", target: "/x", readOnly: false }] };
    const data = join(fixture.stateDir, "volumes/old/pgdata");
    mkdirSync(data, { recursive: true });
    writeFileSync(join(data, "PG_VERSION"), "12\n");
    await expect(fixture.start(stack, old)).rejects.toMatchObject({
      code: "SERVICE_START_FAILED",
      message: expect.stringContaining("PostgreSQL 12"),
    });
    expect(readdirSync(data)).toEqual(["PG_VERSION"]);
  });

  it("a start repeats an interrupted initialisation and removes its files", async () => {
    const cut = { ...db, mounts: [{ type: "volume" as const, source: "cut", target: "/x", readOnly: false }] };
    const controller = new AbortController();
    const starting = fixture.start(stack, cut, controller.signal);
    const base = join(fixture.stateDir, "volumes/cut");
    while (!existsSync(base) || !readdirSync(base).some((name) => name.startsWith(".init-"))) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    controller.abort();
    await expect(starting).rejects.toMatchObject({ name: "AbortError" });
    expect(readdirSync(base)).toEqual([]);
    mkdirSync(join(base, ".init-dead"));
    const again = await fixture.start(stack, cut);
    expect(await untilHealthy(again, check)).toMatchObject({ healthy: true });
    expect(readdirSync(base)).toEqual(["created-with.json", "pgdata"]);
    await again.stop({ graceMs: 10_000 });
    // As after a kill between the last two steps, which leaves the password's file.
    mkdirSync(join(base, ".init-dead"));
    const last = await fixture.start(stack, cut);
    expect(readdirSync(base)).toEqual(["created-with.json", "pgdata"]);
    await last.stop({ graceMs: 10_000 });
  });

  it("initdb runs once when it fails for another reason than the locale", async () => {
    const wrong = service("wrong", {
      image: "postgres:15",
      environment: { POSTGRES_PASSWORD: "one", POSTGRES_INITDB_ARGS: "--encoding=nonsense" },
      ports: [{ containerPort: 5432, hostPort: await freePort(), protocol: "tcp" }],
    });
    const second = await fixture.open([wrong]);
    const { ran = [] } = fixture.host;
    const before = ran.length;
    await expect(fixture.start(second, wrong)).rejects.toMatchObject({
      code: "SERVICE_START_FAILED",
      details: { last_lines: expect.arrayContaining([expect.stringContaining('"nonsense" is not a valid')]) },
    });
    expect(ran.slice(before).filter(([program]) => program?.endsWith("/initdb"))).toHaveLength(1);
    await second.close();
  });

  it("POSTGRES_INITDB_ARGS and POSTGRES_HOST_AUTH_METHOD apply, and a later POSTGRES_USER gets a note", async () => {
    const trusting = service("trusting", {
      image: "postgres:15",
      environment: {
        POSTGRES_HOST_AUTH_METHOD: "trust",
        POSTGRES_INITDB_ARGS: "--data-checksums --locale C -E LATIN1",
      },
      ports: [{ containerPort: 5432, hostPort: await freePort(), protocol: "tcp" }],
    });
    const second = await fixture.open([trusting]);
    let one = await fixture.start(second, trusting);
    expect(one.notes.join()).toContain("every local user of this machine can connect without a password");
    expect(await untilHealthy(one, healthcheck({ kind: "cmd", argv: ["pg_isready"] }))).toMatchObject({
      healthy: true,
    });
    const open = new pg.Client({ host: "127.0.0.1", port: trusting.ports[0]?.hostPort, user: "postgres" });
    await open.connect();
    for (const [name, value] of [
      ["data_checksums", "on"],
      ["server_encoding", "LATIN1"],
      ["lc_collate", "C"],
    ])
      expect((await open.query(`show ${name}`)).rows[0][name as string]).toBe(value);
    await open.end();
    await one.stop({ graceMs: 10_000 });
    const renamed = { ...trusting, environment: { ...trusting.environment, POSTGRES_USER: "app" } };
    one = await fixture.start(second, renamed);
    expect(one.notes.join()).toContain("POSTGRES_USER is app, but the database was created with postgres");
    await second.close();
  });

  it("the password is read from a Compose secret, and removeVolumes deletes the data", async () => {
    const filed = service("filed", {
      image: "postgres:12",
      environment: { POSTGRES_PASSWORD_FILE: "/run/secrets/pw" },
      secrets: [{ source: "db", target: "pw" }],
    });
    const second = await fixture.open([filed], { db: PASSWORD });
    const one = await fixture.start(second, filed);
    expect(await untilHealthy(one, check)).toMatchObject({ healthy: true });
    expect(one.notes.join()).toContain("instead of postgres:12");
    expect(one.notes.join()).toContain("no named volume");
    await second.close();
    expect(existsSync(join(fixture.stateDir, "anonymous/filed/pgdata"))).toBe(true);
    await fixture.runtime.removeVolumes("test", fixture.stateDir, []);
    expect(existsSync(join(fixture.stateDir, "anonymous"))).toBe(false);
  });

  it.each([
    [{ environment: {} }, "INVALID_STACK", "POSTGRES_PASSWORD"],
    [{ environment: { POSTGRES_PASSWORD: "a\nb" } }, "INVALID_STACK", "control character"],
    [{ environment: { POSTGRES_HOST_AUTH_METHOD: "none" } }, "INVALID_STACK", "POSTGRES_HOST_AUTH_METHOD"],
    [{ command: ["postgres", "-c", "listen_addresses=*"] }, "UNSUPPORTED", "listen_addresses"],
    [
      { mounts: [{ type: "bind" as const, source: "/x", target: "/etc/postgresql", readOnly: true }] },
      "UNSUPPORTED",
      "/etc/postgresql",
    ],
    [
      { mounts: [{ type: "volume" as const, source: "../up", target: "/d", readOnly: false }] },
      "INVALID_INPUT",
      "../up",
    ],
  ])("a start with %j is refused", async (fields, code, text) => {
    await expect(fixture.start(stack, { ...db, ...fields })).rejects.toMatchObject({
      code,
      message: expect.stringContaining(text),
    });
  });
});

describe("initdbOptions", () => {
  const options = (text: string) => initdbOptions({ name: "db", environment: { POSTGRES_INITDB_ARGS: text } });

  it("options of the cluster's format are passed to initdb", () => {
    expect(options("")).toEqual([]);
    expect(options("-E 'UTF8' --lc-collate=C --no-instructions --auth-host=scram-sha-256 -k")).toEqual([
      "--encoding=UTF8",
      "--lc-collate=C",
      "-k",
    ]);
  });

  it.each(["--pwfile=/etc/shadow", "--waldir=/x", "--auth=trust", "$(id)", "-D /x", "stray"])(
    "the initdb option %s is refused",
    (text) => {
      expect(() => options(text)).toThrowError(/cannot give/);
    },
  );
});

describe("postgresSettings", () => {
  const settings = (command: string[]) => postgresSettings(service("db", { command }));

  it("every form of -c becomes a setting", () => {
    expect(settings(["docker-entrypoint.sh", "postgres", "-c", "a=1", "-cb=2", "--c=3"])).toEqual([
      "-c",
      "a=1",
      "-c",
      "b=2",
      "-c",
      "c=3",
    ]);
    expect(settings([])).toEqual([]);
  });

  it.each([[["sh", "-c", "x"]], [["postgres", "-c"]], [["postgres", "--single"]], [["-c", "hba_file=/x"]]])(
    "the command %j is refused",
    (command) => {
      expect(() => settings(command)).toThrowError(/cannot run/);
    },
  );
});
