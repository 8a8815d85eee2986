/** Parts of the background server: where it lies, its log, where the state directory is found. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { afterEach, beforeEach, expect, it } from "vitest";
import { loadConfig } from "../../src/config/load.js";
import { stateDirOf } from "../../src/config/state-dir.js";
import { runBridge } from "../../src/daemon/bridge/bridge.js";
import { connectToDaemon } from "../../src/daemon/connect.js";
import { openDaemon } from "../../src/daemon/daemon.js";
import { daemonPaths, requirePrivate } from "../../src/daemon/daemon-paths.js";
import { openLogFile } from "../../src/daemon/log-file.js";
import { readLog } from "../../src/daemon/log-reader.js";
import { openDaemonServer } from "../../src/daemon/server.js";
import { spawnDaemon } from "../../src/daemon/spawn.js";
import { StackwardenError } from "../../src/errors.js";
import { serveMcpSocket } from "../../src/mcp/socket.js";
import { recordingLogger } from "../support/mcp-client.js";
import { scriptedManager } from "../support/scripted-manager.js";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "stackwarden-parts-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

it("the socket is in the state directory, or in a private folder if the path would be too long", () => {
  expect(daemonPaths("/var/lib/stackwarden").socket).toBe("/var/lib/stackwarden/server/server.sock");
  const deep = `/${"long/".repeat(40)}state`;
  const { socket } = daemonPaths(deep, { platform: "linux", uid: 1000, temporary: "/tmp" });
  expect(socket).toMatch(/^\/tmp\/stackwarden-1000\/server-[0-9a-f]{20}\.sock$/);
  expect(daemonPaths(`${deep}2`, { platform: "linux", uid: 1000, temporary: "/tmp" }).socket).not.toBe(socket);
  expect(daemonPaths("C:\\state", { platform: "win32" }).socket).toMatch(/^\\\\\.\\pipe\\stackwarden-server-/);
});

it("only a folder of the same user is trusted", async () => {
  const place = daemonPaths(folder);
  expect(await requirePrivate(place)).toBe(false);
  mkdirSync(place.folder, { mode: 0o700 });
  expect(await requirePrivate(place)).toBe(true);
  await expect(requirePrivate(place, 4711)).rejects.toMatchObject({
    code: "STORAGE_FAILED",
    hint: expect.stringContaining("another user"),
  });
});

it("a client that connects while the server ends waits for the next server", async () => {
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

it("the server's log is bounded, readable by its user only, and rotated", async () => {
  const path = join(folder, "server.log");
  writeFileSync(path, "", { mode: 0o644 });
  const log = openLogFile(path, { maxBytes: 50, keep: 2 });
  for (let line = 0; line < 20; line += 1) log.write(`this is line ${line}\n`);
  log.close();
  for (const name of [path, `${path}.1`, `${path}.2`]) {
    expect(statSync(name).size).toBeLessThanOrEqual(50);
    expect(statSync(name).mode & 0o777).toBe(0o600);
  }
  expect(existsSync(`${path}.3`)).toBe(false);
  expect(readFileSync(path, "utf8")).toContain("line 19");
  // A second process goes on where the first one ended.
  const again = openLogFile(path, { maxBytes: 1000 });
  again.write("and more\n");
  again.close();
  expect(readFileSync(path, "utf8")).toMatch(/line 19\nand more\n$/);
});

it("server logs shows the last lines and follows the log across a rotation", async () => {
  const path = join(folder, "server.log");
  const over = new AbortController();
  const none: string[] = [];
  for await (const line of readLog(path, { tail: 5, follow: false, signal: over.signal })) none.push(line);
  expect(none).toEqual([]);
  const log = openLogFile(path, { maxBytes: 40 });
  for (let line = 0; line < 3; line += 1) log.write(`line ${line}\n`);
  const seen: string[] = [];
  const reading = (async () => {
    for await (const line of readLog(path, { tail: 2, follow: true, signal: over.signal, pollMs: 5 })) {
      seen.push(line);
      // One at a time, so that the reader sees each file.
      if (seen.length < 12) log.write(`line ${seen.length}\n`);
      else over.abort();
    }
  })();
  await reading;
  log.close();
  expect(seen.slice(0, 2)).toEqual(["line 1", "line 2"]);
  expect(seen.slice(2)).toEqual(Array.from({ length: 10 }, (_, index) => `line ${index + 1}`));
});

it("the state directory is found by the same rules as in the whole configuration", async () => {
  const env = { HOME: folder, XDG_CONFIG_HOME: join(folder, "config") };
  const same = async (request: Parameters<typeof stateDirOf>[0]) => {
    const found = await stateDirOf(request);
    expect(found).toBe((await loadConfig(request)).stateDir);
    return found;
  };
  await same({ flags: {}, env, cwd: folder });
  expect(await same({ flags: { stateDir: "here" }, env, cwd: folder })).toBe(join(folder, "here"));
  expect(await same({ flags: {}, env: { ...env, STACKWARDEN_STATE_DIR: "there" }, cwd: folder })).toBe(
    join(folder, "there"),
  );
  const named = join(folder, "named.yaml");
  writeFileSync(named, "state_dir: beside\n");
  expect(await same({ flags: { config: "named.yaml" }, env, cwd: folder })).toBe(join(folder, "beside"));
  expect(await same({ flags: {}, env: { ...env, STACKWARDEN_CONFIG: named }, cwd: "/" })).toBe(join(folder, "beside"));
  writeFileSync(named, "read_only: true\n");
  await same({ flags: { config: named }, env, cwd: folder });
  mkdirSync(join(folder, "config", "stackwarden"), { recursive: true });
  writeFileSync(join(folder, "config", "stackwarden", "stackwarden.yaml"), "log_level: debug\n");
  await same({ flags: {}, env, cwd: folder });
  await expect(stateDirOf({ flags: { config: "missing.yaml" }, env, cwd: folder })).rejects.toThrow("does not exist");
});

it("a session whose message is too large is over, also for a client that only sends", async () => {
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

it("a bridge whose connection was cut does not say that the stacks have ended", async () => {
  // Answers every request, and cuts the connection after the first one.
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

it("a server that ends makes no stacks known any more", async () => {
  let made = 0;
  const server = await openDaemon({
    stateDir: folder,
    version: "1",
    logger: recordingLogger(),
    composeManager: async () => {
      made += 1;
      throw new Error("not here");
    },
    idleMs: null,
    dashboard: {
      url: null,
      openRequests: 0,
      link: () => Promise.reject(new Error("not here")),
      close: async () => undefined,
    },
  });
  const closed = server.close("the test ends");
  await expect(server.manager()).rejects.toMatchObject({ code: "SERVER_UNAVAILABLE" });
  await closed;
  expect(made).toBe(0);
});

it("what a starting server says of its end is heard, however soon it ends", async () => {
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
