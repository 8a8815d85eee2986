/** Other vendors' clients on one server with a real stack: each lists, starts, reads, and receives an error. */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { Client as ClientV2, StreamableHTTPClientTransport as HttpV2 } from "@modelcontextprotocol/client";
import { StdioClientTransport as StdioV2 } from "@modelcontextprotocol/client/stdio";
import { Client as ClientV1 } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport as HttpV1 } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { operations } from "../../src/operations/index.js";
import { APP, appCompose, BINARY, ROOT, TestBench } from "./support/bench.js";
import { pythonClient } from "./support/python-client.js";
import { type Serving, serveOn } from "./support/serving.js";

const run = promisify(execFile);
const TOOLS = operations.map(({ name }) => name);
let bench: TestBench;
let serving: Serving;
let python: string;

beforeAll(async () => {
  bench = new TestBench();
  bench.project("shop", { "compose.yaml": appCompose(), "app.js": APP });
  [serving, python] = await Promise.all([serveOn(bench), pythonClient()]);
}, 400_000);
afterAll(async () => {
  expect(await serving.end()).toBe(0);
  await bench.close();
});

const environment = () => ({ PATH: process.env.PATH ?? "", ...bench.environment() });
const authorized = () => ({ requestInit: { headers: { authorization: `Bearer ${serving.token}` } } });
const stdio = () =>
  new StdioV2({ command: process.execPath, args: [BINARY, "mcp"], cwd: bench.projects, env: environment() });

// biome-ignore lint/suspicious/noExplicitAny: answers are looked at field by field, as a client does.
type Any = any;

/** Calls of every client. */
async function look(client: Any): Promise<void> {
  expect((await client.listTools()).tools.map(({ name }: { name: string }) => name)).toEqual(TOOLS);
  expect((await client.listPrompts()).prompts.length).toBeGreaterThan(0);
  const call = (name: string, input: object) => client.callTool({ name, arguments: input });
  const started = await call("start_stack", { project: "shop", folder: "shop" });
  expect(["healthy", "already_running"]).toContain(started.structuredContent.status);
  const refused = await call("get_logs", { project: "shop", tail: 0 });
  expect(refused).toMatchObject({ isError: true, structuredContent: { code: "INVALID_INPUT" } });
  const { contents } = await client.readResource({ uri: "stack://shop/health" });
  expect(JSON.parse(contents[0].text).overall_healthy).toBe(true);
  await expect(call("no_such_tool", {})).rejects.toThrow(/Unknown tool/);
  await client.close();
}

const CONNECTIONS = ["http auto", "http legacy", "stdio auto", "stdio legacy"];
let seen: Promise<Map<string, Any>> | undefined;

/** What each connection of the Python client saw. */
async function runPython(): Promise<Map<string, Any>> {
  const script = join(ROOT, "test", "e2e", "support", "foreign_client.py");
  const args = [script, "shop", `${serving.url}/mcp`, process.execPath, BINARY, "mcp"];
  const running = run(python, args, { cwd: bench.projects, env: { ...environment(), TOKEN: serving.token } });
  running.child.stdin?.end(`${CONNECTIONS.join("\n")}\n`);
  const lines = (await running).stdout.trim().split("\n");
  return new Map(CONNECTIONS.map((one, index) => [one, JSON.parse(lines[index] ?? "null")]));
}

const seenByPython = async (transport: string, mode: string): Promise<Any> => {
  seen ??= runPython();
  return (await seen).get(`${transport} ${mode}`);
};

describe("clients over HTTP", () => {
  it("the TypeScript SDK's client of version 1 works over HTTP", async () => {
    const client = new ClientV1({ name: "v1", version: "1" });
    const transport = new HttpV1(new URL(`${serving.url}/mcp`), authorized());
    await client.connect(transport as Parameters<typeof client.connect>[0]);
    await look(client);
  });

  it.each([undefined, "legacy", "auto"] as const)(
    "the TypeScript SDK's client of version 2 works over HTTP in mode %s",
    async (mode) => {
      const client = new ClientV2(
        { name: "v2", version: "1" },
        mode === undefined ? {} : { versionNegotiation: { mode } },
      );
      await client.connect(new HttpV2(new URL(`${serving.url}/mcp`), authorized()));
      await look(client);
    },
  );

  it.each(["auto", "legacy"])("the Python SDK's client works over HTTP in mode %s", async (mode) => {
    lookAt(await seenByPython("http", mode));
  });
});

describe("clients over stdio", () => {
  it.each([undefined, "auto"] as const)(
    "the TypeScript SDK's client of version 2 works over stdio in mode %s",
    async (mode) => {
      const client = new ClientV2(
        { name: "v2", version: "1" },
        mode === undefined ? {} : { versionNegotiation: { mode } },
      );
      await client.connect(stdio());
      await look(client);
    },
  );

  it.each(["auto", "legacy"])("the Python SDK's client works over stdio in mode %s", async (mode) => {
    lookAt(await seenByPython("stdio", mode));
  });
});

function lookAt(seen: Any): void {
  expect(seen, seen.error).toMatchObject({
    protocol: "2025-11-25",
    server: "stackwarden",
    refused: [true, "INVALID_INPUT"],
    healthy: true,
  });
  expect(["healthy", "already_running"]).toContain(seen.status);
  expect(seen.tools).toEqual(TOOLS);
  expect(seen.prompts.length).toBeGreaterThan(0);
}
