/**
 * `stackwarden mcp` as its client sees it: messages in both directions, a replaced server, every end of the process.
 */
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { afterAll, afterEach, describe, expect, it } from "vitest";
import { controlOver } from "../../src/control/client.js";
import { connectToDaemon } from "../../src/daemon/connect.js";
import { inspectDaemon } from "../../src/daemon/daemon-status.js";
import { APP, appCompose, BINARY, sleepCompose, TestBench, until } from "../e2e/support/bench.js";
import { INIT, RawClient } from "./support.js";

/**
 * One state directory: each test uses the server that runs, with projects that no other test starts, or ends it first.
 */
const bench = new TestBench();
let clients: RawClient[] = [];
let projects: string[] = [];
const open = (args: string[] = [], env: Record<string, string> = {}): RawClient => {
  const client = new RawClient(bench, args, env);
  clients.push(client);
  return client;
};
const kill = async (): Promise<number> => {
  const pid = bench.background() as number;
  bench.pids.push(pid);
  process.kill(pid, "SIGKILL");
  await until("its end", () => bench.background() !== pid);
  return pid;
};

const project = (
  name: string,
  place = name,
  files: Record<string, string> = { "compose.yaml": sleepCompose() },
): void => {
  projects.push(name);
  bench.project(place, files);
};
/** Never becomes healthy, so that a start continues until it is cancelled. */
const slowProject = (): void => project("slow", "slow", { "compose.yaml": sleepCompose("false") });
afterEach(async () => {
  const { version } = JSON.parse(readFileSync("package.json", "utf8"));
  const hello = {
    stateDir: bench.state,
    version,
    purpose: "control" as const,
    cwd: bench.projects,
    flags: {},
    env: {},
  };
  const joined = projects.length === 0 ? null : await connectToDaemon(hello);
  if (joined !== null) {
    const control = await controlOver(joined.socket);
    for (const name of projects) await control.call("stop_stack", { project: name });
    control.close();
  }
  for (const client of clients) {
    client.child.kill("SIGKILL");
    await client.ended();
  }
  [clients, projects] = [[], []];
});
afterAll(() => bench.close());

// First: its answers have a time limit of a second, and what other tests leave ends meanwhile.
it("requests sent just before standard input ends are answered, even when the server must start first", async () => {
  const empty = new TestBench();
  try {
    const client = new RawClient(empty);
    const ids = [
      client.begin("initialize", INIT),
      client.begin("tools/list"),
      client.begin("tools/call", { name: "list_stacks" }),
    ];
    client.end();
    expect(await client.ended()).toMatchObject({ code: 0 });
    expect(client.messages.map(({ id }) => id).sort()).toEqual(ids);
  } finally {
    await empty.close();
  }
});

it("the bridge forwards progress, log messages, updates and cancellation, and prints only JSON-RPC", async () => {
  project("shop", "shop", { "compose.yaml": appCompose(), "app.js": APP });
  slowProject();
  const client = await open().initialize();
  const started = client.begin("tools/call", {
    name: "start_stack",
    arguments: { project: "shop", folder: "shop" },
    _meta: { progressToken: "p" },
  });
  expect((await client.answer(started)).result.structuredContent).toMatchObject({ status: "healthy" });
  expect(client.notifications("notifications/progress").every(({ progressToken }) => progressToken === "p")).toBe(true);
  expect(client.notifications("notifications/progress").length).toBeGreaterThan(2);
  expect(client.notifications("notifications/message").map(({ data }) => data.type)).toContain("stack_started");
  await client.request("resources/subscribe", { uri: "stack://shop/logs/app" });
  const { stacks } = await client.tool("list_stacks");
  const shop = stacks.find((one: { project: string }) => one.project === "shop");
  await fetch(`${shop.services.app.endpoints[0].url}/say?text=hello`);
  await until("the update", () => client.notifications("notifications/resources/updated").length > 0);

  const slow = client.begin("tools/call", { name: "start_stack", arguments: { project: "slow", folder: "slow" } });
  await until("it runs", () =>
    client
      .notifications("notifications/message")
      .some(({ data }) => data.project === "slow" && data.type === "service_started"),
  );
  client.send({ method: "notifications/cancelled", params: { requestId: slow, reason: "enough" } });
  const health = await client.tool("health_status", { project: "slow", wait_for: "stopped" });
  expect(health.wait).toMatchObject({ met: true });
  expect(client.messages.some(({ id }) => id === slow)).toBe(false);
  // The server answers or drops invalid messages, and the session continues.
  client.child.stdin?.write("this is no JSON\n\n{}\n[]\n7\n");
  expect((await client.request("no/such/method")).error.code).toBe(-32_601);
  expect((await client.request("tools/call", { name: "nope" })).error.code).toBe(-32_602);
  expect(client.messages.every(({ jsonrpc }) => jsonrpc === "2.0")).toBe(true);
});

it("the bridge answers a message that is too large, and the session continues", async () => {
  const client = await open().initialize();
  await client.tool("list_stacks");
  const huge = await client.request("tools/call", { name: "list_stacks", arguments: { x: "a".repeat(11_000_000) } });
  expect(huge.result).toMatchObject({ isError: true, structuredContent: { code: "PAYLOAD_TOO_LARGE" } });
  expect((await client.request("no/such", { x: "a".repeat(11_000_000) })).error.data.code).toBe("PAYLOAD_TOO_LARGE");
  // A notification has no answer.
  client.send({ method: "notifications/progress", params: { x: "a".repeat(11_000_000) } });
  const pid = bench.background();
  await client.tool("list_stacks");
  expect(bench.background()).toBe(pid);
  expect(client.notifications("notifications/message")).toEqual([]);
});

it("after a server was killed, pending calls fail, the next call reaches a new server with its data, and other bridges connect to it before their clients make a call", async () => {
  project("lost");
  slowProject();
  const [client, other] = [await open().initialize(), await open().initialize()];
  await client.tool("start_stack", { project: "lost", folder: "lost" });
  await other.request("resources/subscribe", { uri: "stack://lost/health" });
  await client.request("resources/subscribe", { uri: "stack://lost" });
  await client.request("resources/subscribe", { uri: "stack://lost/events" });
  const call = client.begin("tools/call", {
    name: "get_logs",
    arguments: {
      project: "lost",
      wait_seconds: 40,
      cursor: (await client.tool("get_logs", { project: "lost", tail: 1 })).next_cursor,
    },
  });
  const read = client.begin("tools/call", { name: "start_stack", arguments: { project: "slow", folder: "slow" } });
  await until("both are under way", () =>
    client
      .notifications("notifications/message")
      .some(({ data }) => data.project === "slow" && data.type === "service_started"),
  );
  const first = await kill();
  const seen = other.notifications("notifications/resources/updated").length;
  for (const id of [call, read]) {
    const { result } = await client.answer(id);
    expect(result.isError).toBe(true);
    expect(result.structuredContent).toMatchObject({ code: "SERVER_LOST", retryable: true, details: { pid: first } });
    expect(result.structuredContent.hint).toContain("health_status");
  }
  await until("the notification", () =>
    client.notifications("notifications/message").some(({ data }) => data.message?.includes("ended")),
  );
  // Without a call of the client, no server is started.
  expect(bench.background()).toBeNull();

  const health = await client.tool("health_status", { project: "lost" });
  expect(health.state).toBe("stopped");
  expect(bench.background()).not.toBe(first);
  const updated = client.notifications("notifications/resources/updated").map(({ uri }) => uri);
  expect(updated).toEqual(expect.arrayContaining(["stack://lost", "stack://lost/events"]));
  expect(client.notifications("notifications/resources/list_changed").length).toBeGreaterThan(0);
  // The new server has the subscriptions and the client's name.
  const before = client.notifications("notifications/resources/updated").length;
  expect((await client.tool("start_stack", { project: "lost" })).status).toBe("healthy");
  await until("an update", () => client.notifications("notifications/resources/updated").length > before);
  await until(
    "the other one hears of it",
    () => other.notifications("notifications/resources/updated").length > seen + 1,
  );
  await until("its log says it", () => other.stderr.includes("connected to a new background server"));
  const { events } = await client.tool("get_events", { project: "lost", types: ["stack_started"] });
  expect(events).toHaveLength(2);
  expect(events.every(({ actor }: { actor: string }) => actor.startsWith("raw/1#"))).toBe(true);
  // Each request of the client has exactly one answer, and no answer to the bridge's own requests appears.
  const ids = client.messages.filter(({ id }) => id !== undefined).map(({ id }) => id);
  expect(new Set(ids).size).toBe(ids.length);
  expect(ids.every((id) => typeof id === "number")).toBe(true);
});

it("the bridge answers initialize with the error in its configuration", async () => {
  const client = open(["--root", "/no/such/folder"]);
  const { error } = await client.request("initialize", INIT);
  expect(error).toMatchObject({ code: -32_000, data: { code: "INVALID_INPUT" } });
  expect(error.message).toContain("/no/such/folder does not exist");
  await until("its log says it too", () => client.stderr.includes("/no/such/folder"));
  client.end();
  expect((await client.ended()).code).toBe(0);
});

it("a bridge with --read-only refuses changes while another client makes them", async () => {
  project("written");
  const [reader, writer] = [await open(["--read-only"]).initialize(), await open().initialize()];
  expect(await reader.tool("start_stack", { project: "written", folder: "written" })).toMatchObject({
    code: "READ_ONLY_MODE",
  });
  expect((await writer.tool("start_stack", { project: "written", folder: "written" })).status).toBe("healthy");
  expect((await reader.tool("health_status", { project: "written" })).overall_healthy).toBe(true);
});

it("a client reaches only projects below its roots", async () => {
  project("wide");
  project("hidden", "other/hidden");
  const [wide, narrow] = [await open().initialize(), await open(["--root", "other"]).initialize()];
  await wide.tool("start_stack", { project: "wide", folder: "wide" });
  expect((await narrow.tool("list_stacks")).stacks).toEqual([]);
  expect(await narrow.tool("stop_stack", { project: "wide" })).toMatchObject({ code: "FOLDER_NOT_ALLOWED" });
  expect((await narrow.tool("start_stack", { project: "hidden" })).status).toBe("healthy");
  const { stacks } = await wide.tool("list_stacks");
  const running = stacks.filter(({ state }: { state: string }) => state === "running");
  expect(running.map((one: { project: string }) => one.project).sort()).toEqual(["hidden", "wide"]);
});

describe("end of a client", () => {
  const ENDS: [string, (client: RawClient) => void][] = [
    ["the end of standard input", (client) => client.end()],
    ["SIGTERM", ({ child }) => child.kill("SIGTERM")],
    ["SIGHUP", ({ child }) => child.kill("SIGHUP")],
    [
      "a broken standard output",
      (client) => {
        client.child.stdout?.destroy();
        client.begin("tools/list");
        client.begin("tools/list");
      },
    ],
    ["SIGKILL", ({ child }) => child.kill("SIGKILL")],
  ];

  it("the end of a client ends its bridge within 5 s, rolls its start back and leaves the stack running", async () => {
    project("kept");
    slowProject();
    const keeper = await open().initialize();
    await keeper.tool("start_stack", { project: "kept", folder: "kept" });
    for (const [name, end] of ENDS) {
      const client = await open().initialize();
      const began = keeper.notifications("notifications/message").length;
      client.begin("tools/call", { name: "start_stack", arguments: { project: "slow", folder: "slow" } });
      const heard = (type: string) =>
        keeper
          .notifications("notifications/message")
          .slice(began)
          .some(({ data }) => data.project === "slow" && data.type === type);
      await until(`it starts, before ${name}`, () => heard("service_started"));
      end(client);
      expect((await client.ended()).ms, name).toBeLessThan(5000);
      await until(`what ${name} left is rolled back`, () => heard("stack_start_failed"));
    }
    expect((await keeper.tool("health_status", { project: "kept" })).overall_healthy).toBe(true);
    keeper.end();
    await keeper.ended();
    const next = await open().initialize();
    expect((await next.tool("health_status", { project: "kept" })).overall_healthy).toBe(true);
  });

  it("the bridge ends when its parent process is killed", async () => {
    const { version } = JSON.parse(readFileSync("package.json", "utf8"));
    const clients = async () =>
      (await inspectDaemon({ stateDir: bench.state, version, path: "" })).status?.clients ?? 0;
    await until("the clients before are gone", async () => (await clients()) === 0);
    const script = `
      const { spawn } = require("node:child_process");
      const child = spawn(process.execPath, [${JSON.stringify(BINARY)}, "mcp"], { stdio: ["inherit", "ignore", "ignore"] });
      console.log(child.pid);
      setInterval(() => {}, 1000);`;
    const parent = spawn(process.execPath, ["-e", script], {
      cwd: bench.projects,
      env: { PATH: process.env.PATH ?? "", ...bench.environment() },
      stdio: ["pipe", "pipe", "inherit"],
    });
    let text = "";
    parent.stdout?.on("data", (chunk) => {
      text += chunk;
    });
    const pid = Number(await until("the bridge", () => /\n/.test(text) && text.trim()));
    // The bridge knows its parent once it has joined the server.
    await until("the server has the bridge as its client", async () => (await clients()) === 1);
    parent.kill("SIGKILL");
    const alive = () => {
      try {
        process.kill(pid, 0);
        return true;
      } catch {
        return false;
      }
    };
    await until("its end", () => !alive(), 5000);
    // The bridge's standard input stayed open.
    parent.stdin?.end();
  });

  it("--stop-on-exit stops only the stacks that the client started", async () => {
    for (const name of ["own", "blog"]) project(name);
    const [own, other] = [await open(["--stop-on-exit"]).initialize(), await open().initialize()];
    await own.tool("start_stack", { project: "own", folder: "own" });
    await other.tool("start_stack", { project: "blog", folder: "blog" });
    // A stack that was already running is not the client's own.
    expect((await own.tool("start_stack", { project: "blog" })).status).toBe("already_running");
    own.child.kill("SIGKILL");
    const health = await other.tool("health_status", { project: "own", wait_for: "stopped", timeout_seconds: 30 });
    expect(health.wait).toMatchObject({ met: true });
    expect((await other.tool("health_status", { project: "blog" })).overall_healthy).toBe(true);
    const { events } = await other.tool("get_events", { project: "own", types: ["stack_stopping"] });
    expect(events[0].actor).toMatch(/^stackwarden \(session \S+ ended\)$/);
  });
});
