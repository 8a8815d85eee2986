import {
  LoggingMessageNotificationSchema,
  ResourceListChangedNotificationSchema,
  ResourceUpdatedNotificationSchema,
} from "@modelcontextprotocol/sdk/types.js";
import { expect, test } from "vitest";
import { StackwardenError } from "../../src/errors.js";
import { connect } from "../support/mcp-client.js";
import { crashEvent, scriptedManager } from "../support/scripted-manager.js";

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

test("every stack, its health, events and each service's logs are listed and can be read", async () => {
  const connected = await connect();
  const { resources } = await connected.client.listResources();
  expect(resources.map(({ uri }) => uri)).toEqual([
    "stack://shop",
    "stack://shop/health",
    "stack://shop/events",
    "stack://shop/logs/postgres",
    "stack://shop/logs/backend",
    "stackwarden://docs/compose",
  ]);
  for (const { uri, mimeType, title, description } of resources.filter(({ uri }) => uri.startsWith("stack://"))) {
    expect(title).toContain("shop");
    expect(description).not.toBe("");
    const { contents } = await connected.client.readResource({ uri });
    expect(contents).toHaveLength(1);
    expect(contents[0]).toMatchObject({ uri, mimeType });
    const text = (contents[0] as { text: string }).text;
    if (mimeType === "application/json") expect(JSON.parse(text)).toMatchObject({ project: "shop" });
    else expect(text).toBe("2026-01-31T12:00:00.000Z stdout hello\n2026-01-31T12:00:00.000Z stderr again [× 3]");
  }
  const { resourceTemplates } = await connected.client.listResourceTemplates();
  expect(resourceTemplates.map(({ uriTemplate }) => uriTemplate)).toEqual([
    "stack://{project}",
    "stack://{project}/health",
    "stack://{project}/events",
    "stack://{project}/logs/{service}",
  ]);
  await connected.close();
});

test.each([
  "stack://nope",
  "stack://shop/logs/nope",
  "stack://shop/logs/",
  "stack://shop/logs/../../etc/passwd",
  "stack://shop/logs/%2e%2e",
  "stack://shop/other",
  "stack://shop/",
  "stack://SHOP",
  "stack://constructor",
  "stack://shop/logs/__proto__",
  "file:///etc/passwd",
  "not a uri",
  "",
])("%s is not found by read and by subscribe", async (uri) => {
  const connected = await connect();
  const missing = { code: -32002, data: expect.objectContaining({ uri }) };
  await expect(connected.client.readResource({ uri })).rejects.toMatchObject(missing);
  await expect(connected.client.subscribeResource({ uri })).rejects.toMatchObject(missing);
  expect(connected.manager.calls).toEqual([]);
  await connected.close();
});

test("a failed read has the report of the error", async () => {
  const down = new StackwardenError("RUNTIME_LOST", "The engine died.", { hint: "Start the stack again." });
  const connected = await connect({ manager: scriptedManager({ report: () => Promise.reject(down) }) });
  await expect(connected.client.readResource({ uri: "stack://shop" })).rejects.toMatchObject({
    code: -32603,
    message: expect.stringContaining("Start the stack again."),
    data: expect.objectContaining({ code: "RUNTIME_LOST", retryable: true }),
  });
  await connected.close();
});

test("the documentation of compose files can be read without a stack", async () => {
  const { client, close } = await connect();
  const uri = "stackwarden://docs/compose";
  const { contents } = await client.readResource({ uri });
  expect(contents[0]).toMatchObject({ uri, mimeType: "text/markdown" });
  const { text } = contents[0] as { text: string };
  for (const part of ["# Compose files", "x-local", "## Refused"]) expect(text).toContain(part);
  // The document never changes.
  await expect(client.subscribeResource({ uri })).rejects.toMatchObject({ code: -32002 });
  await expect(client.readResource({ uri: "stackwarden://docs/../package.json" })).rejects.toMatchObject({
    code: -32002,
  });
  await close();
});

test("a list of many resources is complete over its pages, even when one vanishes meanwhile", async () => {
  const manager = scriptedManager();
  manager.known.clear();
  for (let at = 0; at < 150; at += 1) manager.known.set(`p${at}`, ["backend"]);
  const { client, close } = await connect({ manager });
  const uris: string[] = [];
  let cursor: string | undefined;
  let pages = 0;
  do {
    const answer = await client.listResources(cursor === undefined ? {} : { cursor });
    uris.push(...answer.resources.map(({ uri }) => uri));
    cursor = answer.nextCursor;
    pages += 1;
    if (pages === 1) manager.known.delete("p0");
  } while (cursor !== undefined);
  expect(pages).toBe(4);
  // One more for the package's document.
  expect(new Set(uris).size).toBe(601);
  expect(uris).toHaveLength(601);
  await close();
});

test("only subscribed resources are announced, a burst twice, and none after unsubscribing", async () => {
  const connected = await connect({ coalesceMs: 60 });
  const updates: string[] = [];
  connected.client.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) => {
    updates.push(params.uri);
  });
  const uri = "stack://shop/logs/backend";
  await connected.client.subscribeResource({ uri });
  for (let line = 0; line < 500; line += 1)
    connected.manager.emit({ kind: "logs", project: "shop", service: "backend" });
  connected.manager.emit({ kind: "logs", project: "shop", service: "postgres" });
  connected.manager.emit({ kind: "health", project: "shop" });
  await expect.poll(() => updates.length, { timeout: 10_000 }).toBe(2);
  await pause(200);
  expect(updates).toEqual([uri, uri]);
  await connected.client.unsubscribeResource({ uri });
  connected.manager.emit({ kind: "logs", project: "shop", service: "backend" });
  await pause(100);
  expect(updates).toHaveLength(2);
  await connected.close();
});

test("a resource is announced at most four times a second by default", async () => {
  const connected = await connect();
  let updates = 0;
  connected.client.setNotificationHandler(ResourceUpdatedNotificationSchema, () => {
    updates += 1;
  });
  await connected.client.subscribeResource({ uri: "stack://shop/events" });
  const begun = Date.now();
  while (Date.now() < begun + 900) {
    connected.manager.emit({ kind: "events", project: "shop" });
    await pause(5);
  }
  // The first update is immediate, then one in each quarter of a second; a loaded machine takes longer for the loop.
  const most = 1 + Math.ceil((Date.now() - begun) / 250);
  expect(updates).toBeGreaterThanOrEqual(2);
  expect(updates).toBeLessThanOrEqual(most);
  await connected.close();
});

test("a change of a stack's state updates the stack and its health", async () => {
  const connected = await connect({ coalesceMs: 5 });
  const updates: string[] = [];
  connected.client.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) => {
    updates.push(params.uri);
  });
  await connected.client.subscribeResource({ uri: "stack://shop" });
  await connected.client.subscribeResource({ uri: "stack://shop/health" });
  connected.manager.emit({ kind: "stack", project: "shop" });
  connected.manager.emit({ kind: "stack", project: "other" });
  await expect.poll(() => updates.length, { timeout: 10_000 }).toBe(2);
  await pause(50);
  expect(updates.sort()).toEqual(["stack://shop", "stack://shop/health"]);
  await connected.close();
});

test("list_changed is sent when projects or services change, and not for other changes", async () => {
  const connected = await connect({ coalesceMs: 5 });
  let changed = 0;
  connected.client.setNotificationHandler(ResourceListChangedNotificationSchema, () => {
    changed += 1;
  });
  await connected.client.listResources();
  connected.manager.emit({ kind: "projects" });
  connected.manager.emit({ kind: "stack", project: "shop" });
  await pause(20);
  expect(changed).toBe(0);
  connected.manager.known.set("blog", ["web"]);
  connected.manager.emit({ kind: "projects" });
  await pause(20);
  expect(changed).toBe(1);
  connected.manager.known.set("blog", ["web", "db"]);
  connected.manager.emit({ kind: "stack", project: "blog" });
  await pause(20);
  expect(changed).toBe(2);
  await connected.close();
});

test("events become log messages with a level, from the level that the client set", async () => {
  const connected = await connect();
  const messages: { level: string; logger?: string | undefined; data: unknown }[] = [];
  connected.client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => {
    messages.push(params);
  });
  await connected.call("list_stacks");
  const started = { ...crashEvent("shop", 8), type: "service_started" as const, message: "backend started" };
  const shaky = { ...crashEvent("shop", 9), type: "service_unhealthy" as const, message: "refused" };
  const emitAll = async () => {
    for (const event of [crashEvent("shop"), started, shaky])
      connected.manager.emit({ kind: "events", project: "shop", event });
    await pause(10);
  };
  await emitAll();
  expect(messages.map(({ level }) => level)).toEqual(["error", "info", "warning"]);
  expect(messages[0]).toMatchObject({
    logger: "stackwarden.shop",
    data: { project: "shop", service: "backend", type: "service_crashed", seq: 7 },
  });
  messages.length = 0;
  await connected.client.setLoggingLevel("warning");
  await emitAll();
  expect(messages.map(({ level }) => level)).toEqual(["error", "warning"]);
  await connected.close();
});
