/** Connections during the start and shutdown of the background server, and at its limits. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { afterEach, beforeEach, expect, it } from "vitest";
import { runBridge } from "../../src/daemon/bridge/bridge.js";
import { connectToDaemon } from "../../src/daemon/connect.js";
import { type Daemon, type DaemonOptions, openDaemon } from "../../src/daemon/daemon.js";
import { daemonPaths } from "../../src/daemon/daemon-paths.js";
import { openDaemonServer } from "../../src/daemon/server.js";
import { spawnDaemon } from "../../src/daemon/spawn.js";
import { StackwardenError } from "../../src/errors.js";
import { serveMcpSocket } from "../../src/mcp/socket.js";
import type { SharedStackManager } from "../../src/stack/model.js";
import { recordingLogger } from "../support/mcp-client.js";
import { scriptedManager } from "../support/scripted-manager.js";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "stackwarden-parts-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

it("a client that connects while the server shuts down waits for the next server", async () => {
  const place = daemonPaths(folder);
  mkdirSync(place.folder, { mode: 0o700 });
  writeFileSync(place.info, JSON.stringify({ pid: process.pid, version: "1", key: "k" }));
  writeFileSync(place.lock, JSON.stringify({ pid: process.pid, started: null }));
  let visits = 0;
  const status = () => ({ pid: 1, version: "1", started_at: "", clients: 0, stacks: [], log: "" });
  const door = await openDaemonServer({
    socket: place.socket,
    key: "k",
    logger: { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} },
    status,
    nextSession: () => "s",
    receive: async () => {
      visits += 1;
      if (visits < 3) throw new StackwardenError("SERVER_UNAVAILABLE", "The background server is ending.");
      return { run: () => undefined };
    },
  });
  try {
    const request = { stateDir: folder, version: "1", purpose: "mcp" as const, cwd: folder, flags: {}, env: {} };
    const joined = await connectToDaemon(request);
    expect(joined?.welcome.session).toBe("s");
    joined?.socket.destroy();
    expect(visits).toBe(3);
  } finally {
    await door.shut();
    await door.disconnect(1000);
  }
});

it("a message that is too large ends its session, also for a client that only sends", async () => {
  let session: Promise<void> | undefined;
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    const getManager = async () => scriptedManager();
    session = serveMcpSocket(socket, { version: "1", logger: recordingLogger(), getManager });
  });
  await new Promise<void>((resolve) => server.listen(join(folder, "s.sock"), resolve));
  const client = connect(join(folder, "s.sock"));
  client.on("error", () => undefined);
  client.resume();
  client.write("a".repeat(11 * 1_048_576));
  await new Promise((resolve) => client.once("close", resolve));
  await session;
  await new Promise((resolve) => server.close(resolve));
});

it("a bridge whose connection was closed does not report that the stacks have ended", async () => {
  // Answers every request and closes the first connection after the handshake.
  let connections = 0;
  const server = createServer((socket) => {
    connections += 1;
    const cut = connections === 1;
    socket.on("data", (chunk) => {
      for (const line of chunk.toString().split("\n")) {
        const { id, method } = line === "" ? {} : JSON.parse(line);
        if (id !== undefined) socket.write(`{"result":{},"jsonrpc":"2.0","id":${JSON.stringify(id)}}\n`);
        if (cut && method === "notifications/initialized") socket.destroySoon();
      }
    });
  });
  const path = join(folder, "s.sock");
  await new Promise<void>((resolve) => server.listen(path, resolve));
  const [stdin, stdout] = [new PassThrough(), new PassThrough()];
  let told = "";
  stdout.on("data", (chunk) => {
    told += chunk;
  });
  const send = (message: object): void => void stdin.write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);
  const status = { pid: 4711, version: "1", started_at: "", clients: 0, stacks: [], log: "" };
  const ended = runBridge({
    logger: recordingLogger(),
    join: async () => ({ socket: connect(path), welcome: { protocol: 1, session: "s", server: status } }),
    present: () => false,
    stdin,
    stdout,
    exit: () => undefined,
  });
  send({ id: 1, method: "initialize", params: {} });
  await expect.poll(() => told).toContain('"id":1}');
  send({ method: "notifications/initialized" });
  await expect.poll(() => told).toContain("process 4711). If the server has ended");
  send({ id: 2, method: "tools/list" });
  await expect.poll(() => told).toContain('"id":2}');
  expect(told).toContain("Reconnected to the background server (process 4711). Its stacks are still running.");
  expect(told).not.toContain("have ended; their data");
  stdin.end();
  expect(await ended).toBe(0);
  await new Promise((resolve) => server.close(resolve));
});

const daemonWith = (composeManager: DaemonOptions["composeManager"]): Promise<Daemon> =>
  openDaemon({
    stateDir: folder,
    version: "1",
    logger: recordingLogger(),
    composeManager,
    idleMs: null,
    dashboard: {
      url: null,
      openRequests: 0,
      link: () => Promise.reject(new Error("not here")),
      close: async () => undefined,
    },
  });

it("a server composes its manager after the first session began, without a call", async () => {
  let made = 0;
  const server = await daemonWith(async () => {
    made += 1;
    return scriptedManager() as unknown as SharedStackManager;
  });
  try {
    expect(made).toBe(0);
    const request = { stateDir: folder, version: "1", purpose: "mcp" as const, cwd: folder, flags: {}, env: {} };
    const sessions = await Promise.all([connectToDaemon(request), connectToDaemon(request)]);
    await expect.poll(() => made).toBe(1);
    for (const session of sessions) session?.socket.destroy();
  } finally {
    await server.close("the test ends");
  }
});

it("a server that shuts down creates no manager", async () => {
  let made = 0;
  const server = await daemonWith(async () => {
    made += 1;
    throw new Error("not here");
  });
  const closed = server.close("the test ends");
  await expect(server.manager()).rejects.toMatchObject({ code: "SERVER_UNAVAILABLE" });
  await closed;
  expect(made).toBe(0);
});

it("a server that fails to start reports its error, or its exit code", async () => {
  const program = join(folder, "program.mjs");
  const report = { code: "STORAGE_FAILED", message: "The disk is full.", hint: "Free space.", retryable: true };
  writeFileSync(
    program,
    `import { writeSync } from "node:fs"; writeSync(3, ${JSON.stringify(`${JSON.stringify({ error: report })}\n`)}); process.exit(1);`,
  );
  const place = daemonPaths(folder);
  mkdirSync(place.folder, { mode: 0o700 });
  for (let time = 0; time < 5; time += 1)
    await expect(spawnDaemon({ stateDir: folder, place, program, env: process.env })).rejects.toMatchObject({
      code: report.code,
      message: report.message,
    });
  writeFileSync(program, "process.exit(7)");
  await expect(spawnDaemon({ stateDir: folder, place, program, env: process.env })).rejects.toMatchObject({
    code: "SERVER_UNAVAILABLE",
    message: expect.stringContaining("exit code 7"),
  });
});
