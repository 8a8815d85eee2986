import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { InMemoryTransport } from "@modelcontextprotocol/sdk/inMemory.js";
import { CallToolResultSchema } from "@modelcontextprotocol/sdk/types.js";
import { expect, test, vi } from "vitest";
import { StackwardenError } from "../../src/errors.js";
import { INSTRUCTIONS } from "../../src/mcp/instructions.js";
import { createMcpServer } from "../../src/mcp/server.js";
import { UNTRUSTED_META } from "../../src/mcp/untrusted.js";
import { operations } from "../../src/operations/index.js";
import { connect, recordingLogger } from "../support/mcp-client.js";
import { COMPILE_ONCE } from "../support/output-schemas.js";
import { exampleInput, scriptedManager } from "../support/scripted-manager.js";

function deferred() {
  let resolve: () => void = () => undefined;
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

test("initialize and every list that needs no stack are answered without a manager", async () => {
  const connected = await connect();
  const { client } = connected;
  expect(client.getServerVersion()).toMatchObject({ name: "stackwarden", version: "1.2.3" });
  expect(client.getInstructions()).toBe(INSTRUCTIONS);
  expect(INSTRUCTIONS.length).toBeLessThan(2048);
  const { tools, nextCursor } = await client.listTools();
  expect(tools.map(({ name }) => name)).toEqual(operations.map(({ name }) => name));
  expect(nextCursor).toBeUndefined();
  await client.listPrompts();
  await client.listResourceTemplates();
  await client.getPrompt({ name: "harden_stack", arguments: { project: "shop" } });
  await client.setLoggingLevel("error");
  expect(connected.managersMade).toBe(0);
  await connected.close();
});

test.each(["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"])(
  "the server speaks protocol version %s",
  async (version) => {
    const server = createMcpServer({
      getManager: async () => scriptedManager(),
      version: "1",
      logger: recordingLogger(),
    });
    const [near, far] = InMemoryTransport.createLinkedPair();
    const answer = new Promise<unknown>((resolve) => {
      near.onmessage = resolve;
    });
    await server.connect(far);
    await near.start();
    const params = { protocolVersion: version, capabilities: {}, clientInfo: { name: "old", version: "1" } };
    await near.send({ jsonrpc: "2.0", id: 0, method: "initialize", params });
    expect(await answer).toMatchObject({ result: { protocolVersion: version } });
    await server.close();
  },
);

test("a connection that ends while the manager is created subscribes to nothing", async () => {
  const gate = deferred();
  const manager = scriptedManager();
  const asked = deferred();
  const connected = await connect({
    getManager: async () => {
      asked.resolve();
      await gate.promise;
      return manager;
    },
  });
  const call = connected.client.callTool({ name: "list_stacks", arguments: {} });
  await asked.promise;
  await connected.close();
  await expect(call).rejects.toThrow();
  gate.resolve();
  await new Promise((resolve) => setImmediate(resolve));
  expect(manager.subscribers).toBe(0);
});

test("the annotations of tools are those of the operations", async () => {
  const connected = await connect();
  const { tools } = await connected.client.listTools();
  for (const [at, { annotations }] of operations.entries()) {
    expect(tools[at]?.annotations).toMatchObject({
      readOnlyHint: annotations.readOnly,
      destructiveHint: annotations.destructive,
      idempotentHint: annotations.idempotent,
      openWorldHint: annotations.openWorld,
    });
  }
  await connected.close();
});

test("a result fits the output schema, and its text is the same JSON", async () => {
  const connected = await connect();
  await connected.client.listTools(); // The client validates results from here on.
  for (const { name } of operations) {
    const answer = await connected.call(name, exampleInput(name));
    expect(answer.isError).toBe(false);
    expect(JSON.parse(answer.text)).toEqual(answer.structured);
    expect(answer.meta).toHaveProperty([UNTRUSTED_META]);
  }
  expect(connected.manager.calls.find(({ actor }) => actor !== undefined)?.actor).toBe("tester/9#s1");
  await connected.close();
});

test("an error fits the output schema, and its text is the same JSON", async () => {
  const connected = await connect();
  await connected.client.listTools();
  const answer = await connected.call("health_status", { project: "nope" });
  expect(answer).toMatchObject({
    isError: true,
    error: { code: "UNKNOWN_PROJECT", retryable: false, details: { valid: ["shop"] } },
  });
  expect(answer.error.hint).not.toBe("");
  expect(JSON.parse(answer.text)).toEqual(answer.structured);
  for (const { name } of operations) {
    const { error } = await connected.call(name, { nonsense: 1 });
    expect(error.code).toBe("INVALID_INPUT");
  }
  await connected.close();
});

test("the advertised output schema refuses what is neither the output nor an error", async () => {
  const server = createMcpServer({
    getManager: async () => scriptedManager(),
    version: "1",
    logger: recordingLogger(),
  });
  const { AjvJsonSchemaValidator } = await import("@modelcontextprotocol/sdk/validation/ajv");
  const client = new Client({ name: "t", version: "1" }, COMPILE_ONCE);
  const [near, far] = InMemoryTransport.createLinkedPair();
  await Promise.all([server.connect(far), client.connect(near)]);
  const { tools } = await client.listTools();
  for (const tool of tools) {
    const check = new AjvJsonSchemaValidator().getValidator(tool.outputSchema as never);
    expect(check({}).valid, tool.name).toBe(false);
    expect(check({ code: "INTERNAL" }).valid, tool.name).toBe(false);
    expect(check({ code: "INTERNAL", message: "m", hint: "h", retryable: false }).valid, tool.name).toBe(true);
  }
  await client.close();
});

test("a malformed call is a protocol error", async () => {
  const connected = await connect();
  for (const params of [undefined, {}, { name: 7 }, { name: "list_stacks", arguments: "x" }]) {
    const request = { method: "tools/call", ...(params === undefined ? {} : { params }) };
    await expect(connected.client.request(request as never, CallToolResultSchema)).rejects.toMatchObject({
      code: -32602,
    });
  }
  await connected.close();
});

test.each([
  ["resources/read", {}],
  ["resources/subscribe", { uri: 7 }],
  ["prompts/get", {}],
  ["completion/complete", { ref: { type: "ref/nothing" } }],
  ["logging/setLevel", { level: "loud" }],
  ["tools/list", { cursor: 7 }],
])("a malformed %s is a protocol error that names the parameter", async (method, params) => {
  const connected = await connect();
  const request = { method, params } as never;
  await expect(connected.client.request(request, CallToolResultSchema)).rejects.toMatchObject({
    code: -32602,
    message: expect.stringContaining("params."),
  });
  await connected.close();
});

test("an unknown tool is a protocol error that lists the known ones", async () => {
  const connected = await connect();
  await expect(connected.call("rm_rf", {})).rejects.toMatchObject({
    code: -32602,
    message: expect.stringContaining("start_stack"),
  });
  await connected.close();
});

test("read-only mode lists every tool except run_command, and refuses changes", async () => {
  const connected = await connect({ readOnly: true });
  expect((await connected.client.listTools()).tools).toHaveLength(operations.length - 1);
  expect((await connected.call("start_stack", { project: "shop" })).error.code).toBe("READ_ONLY_MODE");
  expect((await connected.call("list_stacks")).isError).toBe(false);
  expect(connected.manager.calls.map(({ method }) => method)).toEqual(["list"]);
  await connected.close();
});

test.each([{ readOnly: true }, { commands: "off" as const }])("run_command is not listed with %j", async (options) => {
  const connected = await connect(options);
  const { tools } = await connected.client.listTools();
  expect(tools.map(({ name }) => name)).not.toContain("run_command");
  await expect(
    connected.call("run_command", { project: "shop", service: "backend", command: "id" }),
  ).rejects.toMatchObject({
    code: -32602,
  });
  await connected.close();
});

test("an internal error shows no details to the client, and the log has its cause", async () => {
  const manager = scriptedManager({ list: () => Promise.reject(new Error("/root/secret hunter2")) });
  const connected = await connect({ manager });
  const { error, text } = await connected.call("list_stacks");
  expect(error.code).toBe("INTERNAL");
  expect(text).not.toContain("hunter2");
  const line = connected.logger.lines.find(({ level }) => level === "error");
  expect(line?.fields?.cause).toContain("hunter2");
  await connected.close();
});

test("a manager that cannot be created fails its call, and the next call tries again", async () => {
  let tries = 0;
  const connected = await connect({
    getManager: async () => {
      tries += 1;
      if (tries < 3)
        throw new StackwardenError("RUNTIME_UNAVAILABLE", "no engine", { hint: "Run stackwarden doctor." });
      return scriptedManager();
    },
  });
  expect((await connected.call("list_stacks")).error).toMatchObject({ code: "RUNTIME_UNAVAILABLE", retryable: true });
  await expect(connected.client.listResources()).rejects.toMatchObject({
    code: -32603,
    message: expect.stringContaining("stackwarden doctor"),
  });
  expect((await connected.call("list_stacks")).isError).toBe(false);
  await connected.close();
});

test("progress increases with every notification, also while the operation is silent", async () => {
  const seen: { progress: number; total?: number | undefined; message?: string | undefined }[] = [];
  const beats = () => seen.filter(({ message }) => message?.startsWith("stopping (")).length;
  const manager = scriptedManager({
    restart: async (_request, call) => {
      call.progress({ progress: 1, total: 3, message: "stopping" });
      await vi.waitFor(() => expect(beats()).toBeGreaterThanOrEqual(2), { timeout: 30_000 });
      call.progress({ progress: 2, total: 3, message: "starting" });
      call.progress({ progress: 2, total: 3, message: "starting" });
      call.progress({ progress: 1, total: 3, message: "stepping back" });
      throw new StackwardenError("START_TIMEOUT", "late");
    },
  });
  const connected = await connect({ manager, heartbeatMs: 30 });
  await connected.client.callTool(
    { name: "restart_service", arguments: { project: "shop", service: "backend" } },
    undefined,
    { onprogress: (progress) => seen.push(progress) },
  );
  expect(seen[0]).toMatchObject({ progress: 1, total: 3, message: "stopping" });
  const values = seen.map(({ progress }) => progress);
  expect(values).toEqual([...new Set(values)].sort((a, b) => a - b));
  expect(seen.filter(({ message }) => message === "starting")).toHaveLength(1);
  expect(seen.at(-1)?.message).toBe("stepping back");
  const total = seen.length;
  await new Promise((resolve) => setTimeout(resolve, 80));
  expect(seen).toHaveLength(total);
  await connected.close();
});

test("a silent call reports progress every five seconds by default", async () => {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "setTimeout", "clearTimeout"] });
  const seen: unknown[] = [];
  let finish: (value: never) => void = () => undefined;
  const manager = scriptedManager({ list: () => new Promise((resolve) => (finish = resolve as never)) });
  const connected = await connect({ manager });
  const call = connected.client.callTool({ name: "list_stacks" }, undefined, { onprogress: (p) => seen.push(p) });
  await vi.advanceTimersByTimeAsync(4999);
  expect(seen).toHaveLength(1);
  await vi.advanceTimersByTimeAsync(5000);
  expect(seen).toHaveLength(2);
  finish([] as never);
  vi.useRealTimers();
  await call;
  await connected.close();
});

test("a cancelled call aborts the operation's signal", async () => {
  let reason: unknown;
  const begun = deferred();
  const over = deferred();
  const manager = scriptedManager({
    start: (_request, { signal }) =>
      new Promise((_resolve, reject) => {
        begun.resolve();
        signal.addEventListener("abort", () => {
          reason = "aborted";
          reject(new StackwardenError("OPERATION_CANCELLED", "rolled back"));
          over.resolve();
        });
      }),
  });
  const connected = await connect({ manager });
  const cancel = new AbortController();
  const call = connected.client.callTool({ name: "start_stack", arguments: { project: "shop" } }, undefined, {
    signal: cancel.signal,
  });
  call.catch(() => undefined);
  await begun.promise;
  cancel.abort("enough");
  await expect(call).rejects.toThrow();
  await over.promise;
  expect(reason).toBe("aborted");
  await connected.close();
});

test("a closed connection aborts its calls and unsubscribes", async () => {
  const aborted = deferred();
  const begun = deferred();
  const manager = scriptedManager({
    start: (_request, { signal }) =>
      new Promise((_resolve, reject) => {
        begun.resolve();
        signal.addEventListener("abort", () => {
          aborted.resolve();
          reject(new Error("gone"));
        });
      }),
  });
  const connected = await connect({ manager });
  connected.call("start_stack", { project: "shop" }).catch(() => undefined);
  await begun.promise;
  expect(manager.subscribers).toBe(1);
  await connected.close();
  await aborted.promise;
  expect(manager.subscribers).toBe(0);
});

test("two connections to one manager receive their own results and unsubscribe separately", async () => {
  const manager = scriptedManager();
  const one = await connect({ manager, sessionId: "one" });
  const two = await connect({ manager, sessionId: "two" });
  const answers = await Promise.all([
    one.call("get_logs", { project: "shop", service: "backend", detail: true }),
    two.call("get_logs", { project: "shop", service: "postgres", detail: true }),
  ]);
  expect(answers.map(({ structured }) => structured.services)).toEqual([["backend"], ["postgres"]]);
  expect(manager.subscribers).toBe(2);
  await one.close();
  expect(manager.subscribers).toBe(1);
  await two.close();
});

test("the client's name in events is short and printable", async () => {
  const manager = scriptedManager();
  const server = createMcpServer({ getManager: async () => manager, version: "1", logger: recordingLogger() });
  const client = new Client({ name: `evil\u001b[31m\n${"x".repeat(500)}`, version: "1" });
  const [near, far] = InMemoryTransport.createLinkedPair();
  await Promise.all([server.connect(far), client.connect(near)]);
  await client.callTool({ name: "stop_stack", arguments: { project: "shop" } });
  const actor = manager.calls[0]?.actor ?? "";
  expect(actor).toMatch(/^[\x20-\x7e]{10,100}#[0-9a-f]{8}$/);
  await client.close();
});

test("an unknown list cursor is refused", async () => {
  const connected = await connect();
  for (const cursor of ["nonsense", ""]) {
    await expect(connected.client.listTools({ cursor })).rejects.toMatchObject({ code: -32602 });
  }
  await connected.close();
});
