/** The client's roots are read before a stack is used, and again when they change. */
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { InMemoryTransport } from "@modelcontextprotocol/sdk/inMemory.js";
import { ListRootsRequestSchema } from "@modelcontextprotocol/sdk/types.js";
import { expect, test } from "vitest";
import { createMcpServer } from "../../src/mcp/server.js";
import { recordingLogger } from "../support/mcp-client.js";
import { COMPILE_ONCE } from "../support/output-schemas.js";
import { scriptedManager } from "../support/scripted-manager.js";

async function connect(roots: (() => Promise<string[]>) | null) {
  const steps: string[] = [];
  const logger = recordingLogger();
  const server = createMcpServer({
    version: "1",
    logger,
    useRoots: (uris) => steps.push(`roots ${uris.join(" ")}`),
    getManager: async () => {
      steps.push("manager");
      return scriptedManager();
    },
  });
  const client = new Client(
    { name: "tester", version: "1" },
    { capabilities: roots === null ? {} : { roots: { listChanged: true } }, ...COMPILE_ONCE },
  );
  if (roots !== null)
    client.setRequestHandler(ListRootsRequestSchema, async () => ({ roots: (await roots()).map((uri) => ({ uri })) }));
  const [one, other] = InMemoryTransport.createLinkedPair();
  await Promise.all([server.connect(one), client.connect(other)]);
  return { client, steps, list: () => client.callTool({ name: "list_stacks", arguments: {} }) };
}

test("the client's roots are read before the manager is used, and again after they change", async () => {
  let roots = ["file:///work/a"];
  const { client, steps, list } = await connect(async () => roots);
  await client.listTools();
  expect(steps).toEqual([]);
  await list();
  await list();
  expect(steps).toEqual(["roots file:///work/a", "manager", "manager"]);
  roots = ["file:///work/b", "file:///work/c"];
  await client.sendRootsListChanged();
  await list();
  expect(steps.slice(3)).toEqual(["roots file:///work/b file:///work/c", "manager"]);
  await client.close();
});

test("a client without roots, or whose roots cannot be read, is served", async () => {
  const without = await connect(null);
  expect((await without.list()).isError).not.toBe(true);
  expect(without.steps).toEqual(["manager"]);
  const failing = await connect(() => Promise.reject(new Error("no roots today")));
  expect((await failing.list()).isError).not.toBe(true);
  expect(failing.steps).toEqual(["manager"]);
  await Promise.all([without.client.close(), failing.client.close()]);
});
