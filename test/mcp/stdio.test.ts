/** The stdio server in this process: framing, and what a spawned server cannot show. */
import { PassThrough } from "node:stream";
import { expect, test, vi } from "vitest";
import { watchParent } from "../../src/mcp/parent.js";
import { type ServeStdioOptions, serveStdio } from "../../src/mcp/stdio.js";
import { recordingLogger } from "../support/mcp-client.js";
import { type ScriptedManager, scriptedManager } from "../support/scripted-manager.js";

const INIT = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "t", version: "1" } };

function serve(options: Partial<ServeStdioOptions> = {}, manager: ScriptedManager = scriptedManager()) {
  const stdin = new PassThrough();
  const stdout = new PassThrough();
  const logger = recordingLogger();
  const exits: number[] = [];
  let text = "";
  stdout.on("data", (chunk) => {
    text += chunk;
  });
  const ended = serveStdio({
    getManager: async () => manager,
    version: "1",
    logger,
    stdin,
    stdout,
    exit: (code) => exits.push(code),
    ...options,
  });
  let id = 0;
  return {
    stdin,
    stdout,
    logger,
    exits,
    ended,
    manager,
    answers: (): { id?: number; result?: Record<string, unknown> }[] =>
      text
        .split("\n")
        .filter(Boolean)
        .map((line) => JSON.parse(line)),
    send: (method: string, params: object = {}) => {
      stdin.write(`${JSON.stringify({ jsonrpc: "2.0", id, method, params })}\n`);
      id += 1;
    },
  };
}

test("the server answers a client and shuts the manager down once", async () => {
  const served = serve();
  served.send("initialize", INIT);
  served.send("tools/call", { name: "list_stacks" });
  await vi.waitFor(() => expect(served.answers()).toHaveLength(2));
  served.stdin.end();
  expect(await served.ended).toBe(0);
  expect(served.exits).toEqual([0]);
  expect(served.manager.calls.filter(({ method }) => method === "shutdown")).toHaveLength(1);
});

test("messages can arrive in pieces and several at once", async () => {
  const served = serve();
  const line = (id: number, method: string, params = {}) =>
    `${JSON.stringify({ jsonrpc: "2.0", id, method, params })}\n`;
  const bytes = Buffer.from(line(0, "initialize", INIT) + line(1, "ping") + line(2, "ping"));
  for (let at = 0; at < bytes.length; at += 7) served.stdin.write(bytes.subarray(at, at + 7));
  await vi.waitFor(() => expect(served.answers().map(({ id }) => id)).toEqual([0, 1, 2]));
  served.stdin.end();
  await served.ended;
});

test.each([
  ["params: null", { method: "tools/list", params: null }, { result: { tools: expect.anything() } }],
  ["a call with params: null", { method: "tools/call", params: null }, { error: { code: -32602 } }],
  [
    "a call with arguments: null",
    { method: "tools/call", params: { name: "list_stacks", arguments: null } },
    { result: {} },
  ],
  ["params that are a list", { method: "tools/list", params: [] }, { error: { code: -32600 } }],
  ["a method that is a number", { method: 7 }, { error: { code: -32600 } }],
  ["no protocol version", { jsonrpc: undefined, method: "ping" }, { error: { code: -32600 } }],
])("the server answers a request with %s", async (_what, request, answer) => {
  const served = serve();
  served.send("initialize", INIT);
  served.stdin.write(`${JSON.stringify({ jsonrpc: "2.0", id: 77, ...request })}\n`);
  await vi.waitFor(() => expect(served.answers()).toHaveLength(2));
  expect(served.answers().find(({ id }) => id === 77)).toMatchObject(answer);
  served.stdin.end();
  expect(await served.ended).toBe(0);
});

test("a message longer than the limit ends the connection", async () => {
  const served = serve();
  served.send("initialize", INIT);
  const block = Buffer.alloc(1024 * 1024, "x");
  for (let sent = 0; sent < 11; sent += 1) served.stdin.write(block);
  expect(await served.ended).toBe(0);
  expect(served.logger.lines.some(({ message }) => message.includes("longer than"))).toBe(true);
});

test("a manager that could not be created is created again, and its failure does not prevent the end", async () => {
  let tries = 0;
  const served = serve({
    getManager: async () => {
      tries += 1;
      throw new Error("no state directory");
    },
  });
  served.send("initialize", INIT);
  for (let call = 0; call < 2; call += 1) {
    served.send("tools/call", { name: "list_stacks" });
    await vi.waitFor(() => expect(served.answers()).toHaveLength(2 + call));
  }
  expect(tries).toBe(2);
  served.stdin.end();
  expect(await served.ended).toBe(0);
});

test("concurrent first calls create one manager", async () => {
  let made = 0;
  const served = serve({
    getManager: async () => {
      made += 1;
      await new Promise((resolve) => setTimeout(resolve, 20));
      return scriptedManager();
    },
  });
  served.send("initialize", INIT);
  for (let call = 0; call < 5; call += 1) served.send("tools/call", { name: "list_stacks" });
  await vi.waitFor(() => expect(served.answers()).toHaveLength(6));
  expect(made).toBe(1);
  served.stdin.end();
  await served.ended;
});

test("a failed shutdown is logged and sets the exit code, and onEnd receives the reason", async () => {
  const failing = scriptedManager({ shutdown: () => Promise.reject(new Error("stuck cgroup")) });
  const served = serve({}, failing);
  served.send("initialize", INIT);
  served.send("tools/call", { name: "list_stacks" });
  await vi.waitFor(() => expect(served.answers()).toHaveLength(2));
  served.stdin.end();
  expect(await served.ended).toBe(1);
  expect(served.logger.lines.some(({ message }) => message.includes("stuck cgroup"))).toBe(true);

  const onEnd = vi.fn();
  const clean = serve({ onEnd });
  clean.stdin.destroy();
  expect(await clean.ended).toBe(0);
  expect(onEnd).toHaveBeenCalledWith("standard input was closed");
});

test("a blocked standard output does not delay the end", async () => {
  const stdout = new PassThrough({ highWaterMark: 1 });
  const served = serve({ stdout });
  served.send("initialize", INIT);
  await new Promise((resolve) => setTimeout(resolve, 20));
  const begin = Date.now();
  served.stdin.end();
  await served.ended;
  expect(Date.now() - begin).toBeLessThan(20_000);
});

test("the server does not wait for a cancelled request at the end", async () => {
  const manager = scriptedManager({
    list: () => new Promise((resolve) => setTimeout(() => resolve([]), 60_000).unref()),
  });
  const served = serve({}, manager);
  served.send("initialize", INIT);
  served.send("tools/call", { name: "list_stacks" });
  await vi.waitFor(() => expect(manager.calls).toHaveLength(1));
  served.stdin.write(
    `${JSON.stringify({ jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId: 1 } })}\n`,
  );
  const begin = Date.now();
  served.stdin.end();
  await served.ended;
  expect(Date.now() - begin).toBeLessThan(30_000);
});

test("serveStdio removes its signal listeners", async () => {
  const count = () => ["SIGTERM", "SIGINT", "SIGHUP"].map((signal) => process.listenerCount(signal));
  const before = count();
  const served = serve();
  expect(count()).not.toEqual(before);
  served.stdin.end();
  await served.ended;
  expect(count()).toEqual(before);
});

test("watchParent reports a changed parent process once", async () => {
  let parent = 100;
  const gone = vi.fn();
  const stop = watchParent(gone, 5, () => parent);
  await new Promise((resolve) => setTimeout(resolve, 30));
  expect(gone).not.toHaveBeenCalled();
  parent = 1;
  await vi.waitFor(() => expect(gone).toHaveBeenCalledOnce());
  await new Promise((resolve) => setTimeout(resolve, 30));
  expect(gone).toHaveBeenCalledOnce();
  stop();
});
