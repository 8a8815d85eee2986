/** The background server as a process: its start, the handshake, its end and the files it leaves. */
import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { dirname, join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { daemonPaths } from "../../src/daemon/daemon-paths.js";
import { inspectDaemon } from "../../src/daemon/daemon-status.js";
import { PROTOCOL } from "../../src/daemon/handshake.js";
import { BINARY, sleepCompose, TestBench, until } from "../e2e/support/bench.js";
import { Commands, type Ran } from "../support/commands.js";
import { RawClient, run } from "./support.js";

/** One state directory: each test uses the server that runs, or ends it first. */
const bench = new TestBench();
const commands = new Commands();
let clients: RawClient[] = [];
afterEach(async () => {
  for (const client of clients) {
    client.child.kill("SIGKILL");
    await client.ended();
  }
  clients = [];
});
afterAll(async () => {
  await commands.close();
  await bench.close();
});
const project = (name: string): string => bench.project(name, { "compose.yaml": sleepCompose() });

const open = (...more: [args?: string[], env?: Record<string, string>, binary?: string]): RawClient => {
  const client = new RawClient(bench, ...more);
  clients.push(client);
  return client;
};
const environment = bench.commandEnvironment();
const command = (...args: string[]): Promise<Ran> => commands.run(args, { cwd: bench.projects, env: environment });
const LOGGING = { STACKWARDEN_LOG_LEVEL: "info" };
const server = (...args: string[]): Promise<Ran> =>
  commands.run(["server", ...args], { cwd: bench.projects, env: { ...environment, ...LOGGING } });
const json = async (...args: string[]) => JSON.parse((await server(...args, "--json")).stdout);
const place = () => daemonPaths(bench.state);
const mode = (file: string) => statSync(file).mode & 0o777;
/** A copy of this program with version 0.0.1-old. */
const oldProgram = (): { binary: string; version: string } => {
  const old = join(bench.folder, "old");
  const { version } = JSON.parse(readFileSync("package.json", "utf8"));
  if (existsSync(old)) return { binary: join(old, "stackwarden.js"), version };
  cpSync(dirname(BINARY), old, { recursive: true });
  for (const name of ["stackwarden.js", ...readdirSync(join(old, "chunks")).map((file) => join("chunks", file))]) {
    const file = join(old, name);
    writeFileSync(file, readFileSync(file, "utf8").replaceAll(`"${version}"`, '"0.0.1-old"'));
  }
  return { binary: join(old, "stackwarden.js"), version };
};

it("concurrent starts run one server, whose files only its user can use", async () => {
  expect(await server("status")).toMatchObject({
    code: 3,
    stdout: expect.stringContaining("The background server is not running"),
  });
  const starts = [1, 2, 3].map(() => run(bench, ["server", "start", "--json"], LOGGING));
  const started = (await Promise.all(starts)).map(({ stdout }) => JSON.parse(stdout));
  expect(new Set(started.map(({ pid }) => pid))).toEqual(new Set([bench.background()]));
  const { folder, socket, info, lock, log } = place();
  expect(dirname(socket)).toBe(folder);
  expect([mode(folder), mode(socket), mode(info), mode(log)]).toEqual([0o700, 0o600, 0o600, 0o600]);
  expect(mode(lock) & 0o077).toBe(0);
  expect(await json("stop")).toMatchObject({ stopped: true, server: { pid: started[0].pid } });
  expect(readdirSync(folder)).toEqual(["server.log"]);
  expect((await server("logs")).stdout).toMatch(/background server started(.|\n)*background server shutting down/);
  expect((await json("stop")).stopped).toBe(false);
});

it("a connection without a valid handshake is refused", async () => {
  await json("start");
  const { key } = JSON.parse(readFileSync(place().info, "utf8"));
  const hello = { protocol: PROTOCOL, version: "1", key, purpose: "mcp", cwd: bench.projects, flags: {}, env: {} };
  /** @returns what the server sends until it closes the connection */
  const visit = (text: string): Promise<string> =>
    new Promise((resolve) => {
      const socket = connect(place().socket);
      let received = "";
      socket.on("data", (chunk) => {
        received += chunk;
      });
      socket.on("error", () => undefined);
      socket.once("close", () => resolve(received));
      socket.write(text);
    });
  const refusal = async (change: object): Promise<string> =>
    JSON.parse(await visit(`${JSON.stringify({ stackwarden: { ...hello, ...change } })}\n`)).stackwarden.refused.code;
  expect(await refusal({ key: "0".repeat(64) })).toBe("UNAUTHORIZED");
  expect(await refusal({ key: "" })).toBe("UNAUTHORIZED");
  for (const change of [
    { key: undefined },
    { protocol: 99 },
    { purpose: "root" },
    { cwd: 7 },
    { flags: { root: {} } },
    { flags: [] },
    { env: { A: 1 } },
    { flags: { runtime: "nope" } },
    { flags: { readOnly: "perhaps" } },
  ])
    expect(await refusal(change), JSON.stringify(change)).toBe("INVALID_INPUT");
  for (const text of [
    "\n",
    "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    '{"jsonrpc":"2.0","id":1,"method":"initialize"}\n',
    "null\n",
  ])
    expect(JSON.parse(await visit(text)).stackwarden.refused.code).toBe("INVALID_INPUT");
  expect(await visit("x".repeat(2 * 1024 * 1024))).toBe("");
  expect(await json("status")).toMatchObject({ clients: 0 });
});

it("a new server replaces a killed one whose socket and lock still exist", async () => {
  const { pid } = await json("start");
  process.kill(pid, "SIGKILL");
  await until("its end", () => bench.background() === null);
  expect(statSync(place().socket).isSocket()).toBe(true);
  expect((await server("status")).code).toBe(3);
  const client = await open().initialize();
  expect(await client.tool("list_stacks")).toEqual({ stacks: [] });
  expect(bench.background()).not.toBe(pid);
});

it("the server ends after its idle time without clients and stacks, and not before", async () => {
  project("idle");
  await bench.endBackground();
  const env = { STACKWARDEN_SERVER_IDLE_SECONDS: "1", ...LOGGING };
  const client = await open([], env).initialize();
  await new Promise((resolve) => setTimeout(resolve, 2000));
  const pid = bench.background();
  expect(pid).not.toBeNull();
  await client.tool("start_stack", { project: "idle", folder: "idle" });
  client.end();
  await client.ended();
  await new Promise((resolve) => setTimeout(resolve, 2000));
  expect(bench.background()).toBe(pid);
  expect((await command("down", "-p", "idle")).code).toBe(0);
  await until("its end", () => bench.background() === null);
  expect(bench.log()).toContain("it was idle");
});

it("server stop is refused while the server is in use, and --force stops its stacks first", async () => {
  const folder = project("used");
  const client = await open().initialize();
  await client.tool("start_stack", { project: "used", folder: "used" });
  const refused = await server("stop");
  expect(refused.code).toBe(1);
  expect(refused.stderr).toMatch(/SERVER_IN_USE.*it runs used \(running\); 1 client is connected/);
  expect(await json("status")).toMatchObject({
    clients: 1,
    stacks: [{ project: "used", state: "running", folder }],
  });
  expect((await server("stop", "--force")).code).toBe(0);
  expect(bench.background()).toBeNull();
  // The client is notified and reaches a new server with its next call.
  await until("the notification", () =>
    client.notifications("notifications/message").some(({ data }) => data.message?.includes("ended")),
  );
  const { events } = await client.tool("get_events", { project: "used", types: ["stack_stopped"] });
  expect(events).toHaveLength(1);
});

it("SIGTERM stops the stacks and ends the server", async () => {
  project("ended");
  const client = await open().initialize();
  await client.tool("start_stack", { project: "ended", folder: "ended" });
  const pid = bench.background() as number;
  process.kill(pid, "SIGTERM");
  await until("its end", () => bench.background() === null);
  const left = () => bench.processes().filter((line) => !line.includes(" mcp"));
  // The server releases its lock just before its process ends.
  await until("the end of its processes", () => left().length === 0);
  expect(readdirSync(place().folder)).toEqual(["server.log"]);
});

it("an idle server of another version is replaced, and one in use is refused with both versions", async () => {
  project("shop");
  await bench.endBackground();
  const { binary, version } = oldProgram();
  expect((await run(bench, ["--version"], {}, binary)).stdout).toBe("0.0.1-old\n");
  const idle = JSON.parse((await run(bench, ["server", "start", "--json"], {}, binary)).stdout);
  expect(idle.version).toBe("0.0.1-old");
  const client = await open().initialize();
  const replaced = bench.background();
  expect(replaced).not.toBe(idle.pid);
  await client.tool("start_stack", { project: "shop", folder: "shop" });

  const other = open([], {}, binary);
  const { error } = await other.request("initialize", {});
  expect(error.message).toContain(`has version ${version}, this program has 0.0.1-old`);
  expect(error.message).toContain("it runs shop (running)");
  expect(error.message).toContain("stackwarden server stop --force");
  expect(error.data).toMatchObject({ code: "SERVER_IN_USE", details: { versions: { server: version } } });
  const ps = await run(bench, ["ps"], {}, binary);
  expect(ps).toMatchObject({ code: 1, stderr: expect.stringContaining("SERVER_IN_USE") });
  expect(bench.background()).toBe(replaced);
  expect((await client.tool("health_status", { project: "shop" })).overall_healthy).toBe(true);
});

describe("doctor", () => {
  interface Report {
    findings: { ok: boolean; message: string; fix?: string }[];
  }
  const summary = <T extends Report>(report: T) => ({
    ...report,
    findings: report.findings.map(({ ok }) => ok),
    text: JSON.stringify(report.findings),
  });
  let client: RawClient;
  let [shop, text, json] = ["", "", ""];
  beforeAll(async () => {
    shop = project("shop");
    client = await new RawClient(bench).initialize();
    await client.tool("start_stack", { project: "shop", folder: "shop" });
    const [shown, reported] = [await command("doctor"), await command("doctor", "--json")];
    expect([shown.code, reported.code]).toEqual([0, 0]);
    [text, json] = [shown.stdout, reported.stdout];
  });
  afterAll(async () => {
    client.child.kill("SIGKILL");
    await client.ended();
  });

  it("doctor reports what this machine can run and enforce", () => {
    expect(text).toMatch(/runtime local: available/);
    const { runtimes } = JSON.parse(json);
    expect(runtimes[0]).toMatchObject({ runtime: "local", available: true });
    expect(["enforced", "advisory", "none"]).toContain(runtimes[0].isolation.limits.level);
  });

  it("doctor reports a missing server, a matching one, another PATH or version, and one that hangs", async () => {
    const { socket, log, folder } = place();
    const { version: current } = JSON.parse(readFileSync("package.json", "utf8"));
    /** What `doctor` reports of the server, without the runtimes. */
    const look = async (path = environment.PATH, version = current) =>
      summary(await inspectDaemon({ stateDir: bench.state, version, path }));
    const pid = bench.background() as number;
    const alike = summary(JSON.parse(json).server);
    expect(alike).toEqual(await look());
    expect(alike).toMatchObject({
      running: true,
      findings: [true, true, true],
      status: {
        pid,
        clients: 1,
        stacks: [{ project: "shop", state: "running", folder: shop }],
        log,
      },
    });
    for (const part of [
      `process ${pid}, version ${alike.status.version}, since ${alike.status.started_at}`,
      socket,
      log,
    ])
      expect(text).toContain(part);
    expect(text).toMatch(
      /background server: running(.|\n)*clients +1\n +stacks +shop \(running, .*(.|\n)*runtime local/,
    );

    const more = await look(`/only/here:${environment.PATH}`);
    expect(more.findings).toEqual([true, false, true]);
    expect(more.text).toMatch(/lacks \/only\/here".*stackwarden server stop/);
    const used = await look(`/only/here:${environment.PATH}`, "0.0.1-old");
    expect(used.findings).toEqual([true, false, false, true]);
    expect(used.text).toMatch(/lacks \/only\/here".*stackwarden server stop/);
    expect(used.text).toMatch(
      new RegExp(`has version ${current}, this program 0.0.1-old.*refused.*server stop --force`),
    );

    process.kill(pid, "SIGSTOP");
    const hanging = await look().finally(() => process.kill(pid, "SIGCONT"));
    expect(hanging).toMatchObject({ running: true, problem: { code: "SERVER_UNAVAILABLE" }, findings: [false] });
    expect(hanging.text).toContain(`process ${pid}) does not respond`);
    expect((await client.tool("health_status", { project: "shop" })).overall_healthy).toBe(true);
    client.end();
    await client.ended();
    await server("stop", "--force");
    const missing = summary(JSON.parse((await command("doctor", "--json")).stdout).server);
    expect(missing).toMatchObject({ running: false, status: null, problem: null, findings: [true], socket, log });
    expect(bench.background()).toBeNull();
    chmodSync(folder, 0o755);
    try {
      expect(await look()).toMatchObject({ running: false, problem: { code: "STORAGE_FAILED" }, findings: [false] });
    } finally {
      chmodSync(folder, 0o700);
    }
  });
});

it("the server refuses a folder that other users can enter", async () => {
  await bench.endBackground();
  mkdirSync(place().folder, { recursive: true, mode: 0o755 });
  chmodSync(place().folder, 0o755);
  try {
    const client = open();
    const { error } = await client.request("initialize", {});
    expect(error.data).toMatchObject({ code: "STORAGE_FAILED", details: { mode: "755" } });
    expect(error.message).toContain(`chmod 700 ${place().folder}`);
    expect(bench.background()).toBeNull();
  } finally {
    chmodSync(place().folder, 0o700);
  }
});
