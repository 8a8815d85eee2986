/** A server that is not root, with databases and an app. Reports name what cannot be isolated. */
import { chownSync, mkdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { APP, appCompose, type Server, TestBench, until } from "./support/bench.js";
import { asUser, canRunAs, noUserNamespaces } from "./support/ordinary-user.js";

/** A user with a name, which PostgreSQL requires, and without a home folder. */
const [, UID = 65_534] = (/^nobody:[^:]*:(\d+):/m.exec(readFileSync("/etc/passwd", "utf8")) ?? []).map(Number);
const NAMELESS = 79_991;

const DATABASES = `
  db:
    image: postgres:15-alpine
    environment: { POSTGRES_USER: shop, POSTGRES_PASSWORD: "\${DB_PASSWORD}" }
    ports: ["15432"]
    volumes: ["data:/var/lib/postgresql/data"]
    healthcheck: { test: ["CMD-SHELL", "pg_isready -U shop"], interval: 500ms, start_period: 60s, start_interval: 100ms }
  cache:
    image: redis:7-alpine
    healthcheck: { test: ["CMD", "redis-cli", "ping"], interval: 500ms, start_period: 60s, start_interval: 100ms }
volumes: { data: {} }
secrets: { db-password: { environment: DB_PASSWORD, x-generate: true } }
`;

describe.runIf(canRunAs(Number(UID)))("server without root", () => {
  const bench = new TestBench("standalone");
  const project = "shop";
  let server: Server;
  let url = "";

  beforeAll(async () => {
    bench.project(project, { "compose.yaml": `${appCompose("    mem_limit: 256m\n")}${DATABASES}`, "app.js": APP });
    mkdirSync(bench.state, { mode: 0o700 });
    chownSync(bench.state, UID, UID);
    bench.wrapper = asUser(Number(UID));
    server = await bench.server({ HOME: "" });
  });
  afterAll(() => bench.close());

  it("the stack runs as the server's user, and reports name what is not enforced", async () => {
    const started = await server.call("start_stack", { project, folder: project, timeout_seconds: 170 });
    expect(started).toMatchObject({ status: "healthy", verified: true });
    const { app, db, cache } = started.after.services;
    url = app.endpoints[0].url;
    for (const { pid, user } of [app, db, cache]) {
      expect(user).toMatchObject({ uid: UID, enforcement: { level: "none", reason: expect.stringContaining("root") } });
      const status = readFileSync(`/proc/${pid}/status`, "utf8");
      expect(status).toMatch(new RegExp(`^Uid:\\s+${UID}\\s+${UID}\\s`, "m"));
      expect(status).toMatch(/^NoNewPrivs:\s+1$/m);
    }
    expect(app.limits.memory_mb).toMatchObject({ value: null, enforcement: { level: "none" } });
    expect(statSync(join(bench.state, "projects", project, "secrets.json")).mode & 0o777).toBe(0o600);
  });

  it("a row survives a restart of the database", async () => {
    const secrets = JSON.parse(readFileSync(join(bench.state, "projects", project, "secrets.json"), "utf8"));
    const password = JSON.stringify(secrets).match(/"db-password":"([^"]+)"/)?.[1] ?? "";
    const { stacks } = await server.call("list_stacks");
    const connect = async () => {
      const port = stacks[0].services.db.endpoints[0].host_port;
      const client = new pg.Client({ host: "127.0.0.1", port, user: "shop", database: "shop", password });
      await client.connect();
      return client;
    };
    const before = await connect();
    await before.query("create table kept (name text); insert into kept values ('here')");
    await before.end();
    expect(await server.call("restart_service", { project, service: "db", timeout_seconds: 170 })).toMatchObject({
      verified: true,
    });
    const after = await connect();
    expect((await after.query("select name from kept")).rows).toEqual([{ name: "here" }]);
    await after.end();
  });

  it("a crashed service is restarted and its logs are kept", async () => {
    await fetch(`${url}/exit?code=7`).catch(() => undefined);
    await until("the crash", async () => {
      const { events } = await server.call("get_events", { project, types: ["service_crashed"] });
      return events.at(-1)?.data.exit_code === 7;
    });
    expect(await server.call("health_status", { project, wait_for: "healthy" })).toMatchObject({
      overall_healthy: true,
    });
    const { lines } = await server.call("get_logs", { project, service: "app", grep: "told to exit" });
    expect(lines).toHaveLength(1);
  });

  it("set_limits stores limits and reports that nothing enforces them", async () => {
    const changed = await server.call("set_limits", { project, service: "app", memory_mb: 300 });
    expect(changed).toMatchObject({ verified: false, message: expect.stringContaining("Nothing enforces") });
    const { services } = await server.call("get_stats", { project });
    expect(services.app.stats).toMatchObject({
      memory_mb: expect.any(Number),
      reason: expect.stringContaining("root"),
    });
  });

  it("a start is refused when limits must be enforced", async () => {
    expect(await server.call("stop_stack", { project })).toMatchObject({ verified: true });
    const strict = await bench.server({ HOME: "", STACKWARDEN_REQUIRE_ENFORCED_LIMITS: "true" });
    const error = await strict.refused("start_stack", { project });
    expect(error).toMatchObject({ code: "LIMITS_NOT_ENFORCEABLE", hint: expect.stringContaining("doctor") });
    expect(await strict.call("list_stacks")).toMatchObject({ stacks: [{ project, state: "stopped" }] });
  });

  it.skipIf(noUserNamespaces(NAMELESS) !== null)("a user without a name can run PostgreSQL in namespaces", async () => {
    const state = join(bench.folder, "named");
    mkdirSync(state, { mode: 0o700 });
    chownSync(state, NAMELESS, NAMELESS);
    bench.wrapper = asUser(NAMELESS);
    const nameless = await bench.server({ HOME: "", STACKWARDEN_STATE_DIR: state });
    const { status, after } = await nameless.call("start_stack", {
      project,
      folder: project,
      services: ["db"],
      timeout_seconds: 170,
    });
    expect([status, after.services.db.user.uid]).toEqual(["healthy", NAMELESS]);
    expect(await nameless.call("stop_stack", { project })).toMatchObject({ verified: true });
  });

  it("a user without a name can run apps without namespaces, and the error for PostgreSQL names what is missing", async () => {
    const other = join(bench.folder, "other");
    mkdirSync(other, { mode: 0o700 });
    chownSync(other, NAMELESS, NAMELESS);
    bench.project("apps", { "compose.yaml": appCompose(), "app.js": APP });
    bench.wrapper = asUser(NAMELESS);
    const off = { STACKWARDEN_STATE_DIR: other, STACKWARDEN_NAMESPACES: "off" };
    const nameless = await bench.server({ HOME: "", ...off });
    const { after } = await nameless.call("start_stack", { project: "apps", folder: "apps" });
    expect(after.services.app.user).toMatchObject({ uid: NAMELESS, name: String(NAMELESS) });
    expect(await nameless.call("stop_stack", { project: "apps" })).toMatchObject({ verified: true });
    expect(await nameless.refused("start_stack", { project, folder: project })).toMatchObject({
      code: "UNSUPPORTED",
      hint: expect.stringContaining("/etc/passwd"),
    });
  });
});
