/** Sessions and streams of `/mcp`, and the requests that it refuses. */
import { Agent } from "node:http";
import { ResourceUpdatedNotificationSchema } from "@modelcontextprotocol/sdk/types.js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { InMemoryEventStore } from "../../src/mcp/in-memory-event-store.js";
import {
  type Answer,
  endSession,
  type HttpFixture,
  holdTokenCheck,
  httpFixture,
  type Sent,
  sdkClient,
} from "../support/http-fixture.js";
import { scriptedManager } from "../support/scripted-manager.js";

const BOTH = "application/json, text/event-stream";
const initialize = (version = "2025-11-25") => ({
  jsonrpc: "2.0",
  id: 1,
  method: "initialize",
  params: { protocolVersion: version, capabilities: {}, clientInfo: { name: "tester", version: "1" } },
});
const PING = { jsonrpc: "2.0", id: 2, method: "ping" };

let http: HttpFixture;
beforeAll(async () => {
  http = await httpFixture();
});
afterAll(() => http.close());

const post = (body: string | object, sent: Sent = {}, to = http): Promise<Answer> =>
  to.send("/mcp", { method: "POST", body, ...sent, headers: { accept: BOTH, ...sent.headers } });

async function begin(sent: Sent = {}, to = http): Promise<string> {
  const answer = await post(initialize(), sent, to);
  expect(answer.status).toBe(200);
  return answer.headers["mcp-session-id"] as string;
}

const within = (id: string, more: Record<string, string> = {}) => ({ "mcp-session-id": id, ...more });
const close = (id: string) => http.send("/mcp", { method: "DELETE", headers: within(id) });

describe("requests to /mcp", () => {
  it("a request without a session gets 400, and one of an unknown or ended session 404", async () => {
    for (const [method, status] of [
      ["GET", 400],
      ["DELETE", 400],
      ["POST", 400],
    ] as const) {
      const answer = await http.send("/mcp", {
        method,
        headers: { accept: BOTH },
        ...(method === "POST" ? { body: PING } : {}),
      });
      expect(answer.status).toBe(status);
      expect(answer.json).toMatchObject({ jsonrpc: "2.0", error: { code: -32000 } });
    }
    const id = await begin();
    expect((await close(id)).status).toBe(200);
    for (const session of [id, "nothing", "../../etc/passwd", "__proto__"])
      for (const method of ["POST", "GET", "DELETE"]) {
        const answer = await http.send("/mcp", {
          method,
          headers: within(session, { accept: BOTH }),
          ...(method === "POST" ? { body: PING } : {}),
        });
        expect(answer.status).toBe(404);
        expect(answer.json.error.code).toBe(-32001);
      }
    expect(http.sessions()).toBe(0);
  });

  it.each(["PUT", "PATCH", "OPTIONS", "HEAD", "TRACE"])(
    "%s is answered with 405 and the allowed methods",
    async (method) => {
      const answer = await http.send("/mcp", { method });
      expect(answer.status).toBe(405);
      expect(answer.headers.allow).toBe("GET, POST, DELETE");
    },
  );

  it("a request with an unsupported Accept, Content-Type or protocol version is refused", async () => {
    const id = await begin();
    const inside = (headers: Record<string, string>) => post(PING, { headers: within(id, headers) });
    for (const accept of ["application/json", "text/event-stream", "text/html", ""])
      expect((await inside({ accept })).status).toBe(406);
    for (const type of ["text/plain", "application/jsonx", "application/x-www-form-urlencoded"])
      expect((await inside({ "content-type": type })).status).toBe(415);
    expect((await http.send("/mcp", { headers: within(id, { accept: "application/json" }) })).status).toBe(406);
    expect((await inside({ "mcp-protocol-version": "1999-01-01" })).status).toBe(400);
    expect((await inside({ "content-type": "application/json; charset=utf-8" })).status).toBe(200);
    await close(id);
  });

  it("a body that is not JSON, not JSON-RPC or too large is refused", async () => {
    const id = await begin();
    const bodies: [string | object, number, number][] = [
      ["{", 400, -32700],
      ["null", 400, -32700],
      [{ hello: 1 }, 400, -32700],
      [Array.from({ length: 101 }, () => PING), 400, -32600],
      [{ ...PING, params: { _meta: { padding: "a".repeat(1_100_000) } } }, 413, -32000],
    ];
    for (const [body, status, code] of bodies) {
      const answer = await post(body, { headers: within(id) });
      expect(answer.status).toBe(status);
      expect(answer.json.error.code).toBe(code);
      expect(answer.text).not.toMatch(/\bat .*\.[tj]s:\d+|node_modules/);
    }
    expect((await post(PING, { headers: within(id) })).status).toBe(200);
    await close(id);
  });

  it("a request that does not initialize creates no session", async () => {
    for (const body of ["{", PING, { ...initialize(), params: {} }, [initialize(), PING]]) {
      const answer = await post(body);
      expect(answer.status).toBeLessThan(500);
    }
    expect(http.sessions()).toBe(0);
  });
});

describe("sessions of /mcp", () => {
  it("a session does not exist for another token, and read scope refuses changes", async () => {
    const id = await begin({ token: http.read });
    for (const method of ["POST", "GET", "DELETE"]) {
      const answer = await http.send("/mcp", {
        method,
        headers: within(id, { accept: BOTH }),
        ...(method === "POST" ? { body: PING } : {}),
      });
      expect(answer.status).toBe(404);
    }
    expect((await post(PING, { token: http.read, headers: within(id) })).status).toBe(200);
    const call = { ...PING, method: "tools/call", params: { name: "stop_stack", arguments: { project: "shop" } } };
    const before = http.manager.calls.length;
    const refused = await post(call, { token: http.read, headers: within(id) });
    expect(refused.text).toContain('"isError":true');
    expect(http.manager.calls).toHaveLength(before);
    await http.send("/mcp", { method: "DELETE", token: http.read, headers: within(id) });
    expect(http.sessions()).toBe(0);
  });

  it("a session ends when its token is rotated", async () => {
    const id = await begin({ token: http.read });
    const { token } = await http.tokens.rotate("reader");
    expect((await post(PING, { token: http.read, headers: within(id) })).status).toBe(401);
    expect((await post(PING, { token, headers: within(id) })).status).toBe(404);
  });

  it("a session answers as a stream, or as JSON when the client prefers it", async () => {
    const stream = await post(initialize());
    expect(stream.headers["content-type"]).toBe("text/event-stream");
    expect(stream.text).toMatch(/^event: message\nid: .+\ndata: \{.*"serverInfo"/m);
    const accept = "text/event-stream;q=0.5, application/json";
    const json = await post(initialize(), { headers: { accept } });
    expect(json.headers["content-type"]).toBe("application/json");
    expect(json.json).toMatchObject({ id: 1, result: { protocolVersion: "2025-11-25" } });
    const id = json.headers["mcp-session-id"] as string;
    expect((await post(PING, { headers: within(id) })).json).toEqual({ jsonrpc: "2.0", id: 2, result: {} });
    await close(id);
    await close(stream.headers["mcp-session-id"] as string);
  });

  it.each(["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"])(
    "a session speaks protocol version %s",
    async (version) => {
      const answer = await post(initialize(version));
      expect(answer.text).toContain(`"protocolVersion":"${version}"`);
      await close(answer.headers["mcp-session-id"] as string);
    },
  );

  it("an idle session ends, and one with an open stream does not", async () => {
    const quick = await httpFixture({ mcp: { idleMs: 2000 } });
    const leave = new AbortController();
    try {
      const streaming = await begin({}, quick);
      const stream = await fetch(`${quick.url}/mcp`, {
        headers: { authorization: `Bearer ${quick.operate}`, accept: BOTH, ...within(streaming) },
        signal: leave.signal,
      });
      expect(stream.status).toBe(200);
      // Used later than the session with the stream, and ends first.
      const idle = await begin({}, quick);
      await expect.poll(() => quick.sessions(), { timeout: 30_000 }).toBe(1);
      expect((await post(PING, { headers: within(idle) }, quick)).status).toBe(404);
      expect((await post(PING, { headers: within(streaming) }, quick)).status).toBe(200);
      leave.abort();
      await expect.poll(() => quick.sessions(), { timeout: 30_000 }).toBe(0);
    } finally {
      leave.abort();
      await quick.close();
    }
  });

  it("an idle session ends also after a client left before its request was processed", async () => {
    const quick = await httpFixture({ mcp: { idleMs: 500 } });
    const leave = new AbortController();
    try {
      const session = await begin({}, quick);
      const { looking, release } = holdTokenCheck(quick.tokens);
      const stream = fetch(`${quick.url}/mcp`, {
        headers: { authorization: `Bearer ${quick.operate}`, accept: BOTH, ...within(session) },
        signal: leave.signal,
      });
      await looking;
      leave.abort();
      await expect(stream).rejects.toThrow();
      for (let count = 0; count < 3; count += 1) await quick.send("/healthz");
      release();
      await expect.poll(() => quick.sessions(), { timeout: 10_000 }).toBe(0);
    } finally {
      leave.abort();
      await quick.close();
    }
  });
});

it("sessions are limited for each token, and a free slot can be used again", async () => {
  const full = await httpFixture({ requestsPerMinute: 100_000, mcp: { maxSessions: 12, maxSessionsPerOwner: 8 } });
  const agent = new Agent({ keepAlive: true });
  try {
    const tries = 400;
    const seen: Record<number, number> = {};
    const ids: string[] = [];
    for (let done = 0; done < tries; done += 50) {
      const answers = await Promise.all(Array.from({ length: 50 }, () => post(initialize(), { agent }, full)));
      for (const { status, headers, text } of answers) {
        seen[status] = (seen[status] ?? 0) + 1;
        if (status === 200) ids.push(headers["mcp-session-id"] as string);
        else {
          expect(headers["retry-after"]).toBe("60");
          expect(text).toContain("8 sessions already");
        }
      }
    }
    expect(seen).toEqual({ 200: 8, 503: tries - 8 });
    const others = await Promise.all(Array.from({ length: 6 }, () => post(initialize(), { token: full.read }, full)));
    expect(others.map(({ status }) => status).sort()).toEqual([200, 200, 200, 200, 503, 503]);
    expect(full.sessions()).toBe(12);
    expect((await full.send("/api/v1/projects")).status).toBe(200);
    await full.send("/mcp", { method: "DELETE", headers: within(ids[0] as string) });
    await begin({}, full);
  } finally {
    agent.destroy();
    await full.close();
  }
}, 120_000);

describe("broken streams", () => {
  it("a stream that continues after Last-Event-ID receives the result of a call that ended meanwhile", async () => {
    let finish: () => void = () => undefined;
    const done = new Promise<void>((resolve) => {
      finish = resolve;
    });
    const plain = scriptedManager();
    const slow = await httpFixture({
      manager: scriptedManager({
        stop: async (request, call) => {
          await done;
          return plain.stop(request, call);
        },
      }),
    });
    try {
      const id = await begin({}, slow);
      const headers = {
        authorization: `Bearer ${slow.operate}`,
        accept: BOTH,
        "content-type": "application/json",
        "mcp-protocol-version": "2025-11-25",
        ...within(id),
      };
      const leave = new AbortController();
      const call = await fetch(`${slow.url}/mcp`, {
        method: "POST",
        headers,
        body: JSON.stringify({
          ...PING,
          id: 7,
          method: "tools/call",
          params: { name: "stop_stack", arguments: { project: "shop" } },
        }),
        signal: leave.signal,
      });
      let cursor = "";
      for await (const chunk of call.body ?? []) {
        cursor = /^id: (.+)$/m.exec(Buffer.from(chunk).toString())?.[1] ?? "";
        if (cursor !== "") break;
      }
      leave.abort();
      await expect.poll(() => slow.manager.calls.some(({ method }) => method === "stop")).toBe(true);
      finish();
      const back = new AbortController();
      const stream = await fetch(`${slow.url}/mcp`, {
        headers: { ...headers, "last-event-id": cursor },
        signal: back.signal,
      });
      expect(stream.status).toBe(200);
      let text = "";
      for await (const chunk of stream.body ?? []) {
        text += Buffer.from(chunk).toString();
        if (text.includes("\n\n")) break;
      }
      back.abort();
      expect(text).toMatch(/"id":7/);
      expect(text).toContain("stopped");
      for (const lost of ["nothing", `${cursor}0`, "_GET_stream.999"])
        expect((await slow.send("/mcp", { headers: { ...headers, "last-event-id": lost } })).status).toBe(400);
    } finally {
      await slow.close();
    }
  });

  it("the event store is bounded, and evicted events are unknown", async () => {
    const store = new InMemoryEventStore({ maxEvents: 3, maxBytes: 10_000 });
    const message = (n: number, size = 0) =>
      ({ jsonrpc: "2.0", method: "m", params: { n, padding: "x".repeat(size) } }) as const;
    const ids: string[] = [];
    for (let n = 0; n < 5; n += 1) ids.push(await store.storeEvent(n % 2 === 0 ? "a_b" : "_GET_stream", message(n)));
    expect(await Promise.all(ids.map((id) => store.getStreamIdForEventId(id)))).toEqual([
      undefined,
      undefined,
      "a_b",
      "_GET_stream",
      "a_b",
    ]);
    const sent: unknown[] = [];
    const send = async (_id: string, sentMessage: object) => {
      sent.push((sentMessage as { params: { n: number } }).params.n);
    };
    expect(await store.replayEventsAfter(ids[2] as string, { send })).toBe("a_b");
    expect(sent).toEqual([4]);
    expect(await store.replayEventsAfter(ids[0] as string, { send })).toBe("");
    const big = await store.storeEvent("big", message(5, 20_000));
    expect(await store.getStreamIdForEventId(big)).toBe("big");
    expect(await store.getStreamIdForEventId(ids[4] as string)).toBeUndefined();
  });
});

it("the SDK's client calls tools, receives updates over the stream, and ends its session", async () => {
  const client = await sdkClient(http);
  const { tools } = await client.listTools();
  expect(tools.map(({ name }) => name)).toContain("start_stack");
  const updates: string[] = [];
  client.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) => {
    updates.push(params.uri);
  });
  await client.subscribeResource({ uri: "stack://shop/health" });
  await expect
    .poll(async () => {
      http.manager.emit({ kind: "health", project: "shop" });
      return updates[0];
    })
    .toBe("stack://shop/health");
  const result = await client.callTool({ name: "health_status", arguments: { project: "shop" } });
  expect(result.structuredContent).toMatchObject({ project: "shop" });
  expect(http.manager.calls.at(-1)?.actor).toMatch(/^sdk\/1#[0-9a-f]{8}$/);
  await endSession(client);
  expect(http.sessions()).toBe(0);
});
