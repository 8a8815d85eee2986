/** `/api/v1`: every route of docs/REST_API.md. */
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { StackwardenError } from "../../src/errors.js";
import type { LogReport } from "../../src/stack/model.js";
import { type HttpFixture, holdTokenCheck, httpFixture, sdkClient } from "../support/http-fixture.js";
import { scriptedManager, TIME } from "../support/scripted-manager.js";

let http: HttpFixture;
beforeAll(async () => {
  http = await httpFixture();
});
afterAll(() => http.close());

const last = () => http.manager.calls.at(-1);
const quiet = { signal: new AbortController().signal, actor: "test", progress: () => undefined };

describe("GET routes", () => {
  it("GET /projects lists projects, and /projects/{id} returns one", async () => {
    expect((await http.send("/api/v1/projects")).json.stacks[0]).toMatchObject({ project: "shop", state: "running" });
    for (const path of ["/api/v1/projects/shop", "/api/v1/projects/shop/status"])
      expect((await http.send(path)).json).toMatchObject({
        project: "shop",
        services: { backend: { state: "healthy" } },
      });
    expect((await http.send("/api/v1/projects/nope")).json).toMatchObject({ status: 404, code: "UNKNOWN_PROJECT" });
  });

  it("GET /health passes its query to the operation and refuses invalid values", async () => {
    const answer = await http.send("/api/v1/projects/shop/health?fresh=true&wait_for=healthy&timeout_seconds=5");
    expect(answer.json).toMatchObject({
      project: "shop",
      overall_healthy: false,
      services: { backend: { healthy: false, error: "refused" } },
    });
    expect(last()).toMatchObject({
      method: "health",
      request: { project: "shop", fresh: true, waitFor: "healthy", timeoutMs: 5000 },
      actor: "rest#writer",
    });
    expect((await http.send("/api/v1/projects/shop/health?fresh=maybe")).json).toMatchObject({
      status: 400,
      code: "INVALID_INPUT",
    });
    expect((await http.send("/api/v1/projects/shop/health?nope=1")).status).toBe(400);
  });

  it("GET /logs/{service} returns text with a line count, or JSON lines", async () => {
    const text = (await http.send("/api/v1/projects/shop/logs/backend?tail=7")).json;
    expect(text).toMatchObject({ project_id: "shop", service: "backend", logs: expect.any(String) });
    expect(text.logs.split("\n")).toHaveLength(text.lines);
    expect(last()?.request).toMatchObject({ query: { services: ["backend"], tail: 7 } });
    const lines = (await http.send("/api/v1/projects/shop/logs/backend?format=json")).json;
    expect(lines).toMatchObject({ project_id: "shop", service: "backend" });
    expect(lines.lines[0]).toMatchObject({ service: "backend", text: expect.any(String), seq: expect.any(Number) });
    expect((await http.send("/api/v1/projects/shop/logs/backend?tail=0")).json.detail).toMatch(/1 to 10,000/);
    expect((await http.send("/api/v1/projects/shop/logs/backend?format=xml")).json).toMatchObject({
      code: "INVALID_INPUT",
    });
    expect((await http.send("/api/v1/projects/shop/logs/backend?service=other")).json.detail).toContain(
      "in the path and in the query",
    );
  });

  it("GET /logs returns the lines of all or of some services", async () => {
    const { services, lines } = (await http.send("/api/v1/projects/shop/logs?format=json&tail=7")).json;
    expect(services).toEqual(["postgres", "backend"]);
    expect(lines).toHaveLength(2);
    expect(last()?.request).toMatchObject({ project: "shop", query: { tail: 7 } });
    expect(last()?.request).not.toHaveProperty("query.services");
    await http.send("/api/v1/projects/shop/logs?services=postgres&services=backend");
    expect(last()?.request).toMatchObject({ query: { services: ["postgres", "backend"] } });
  });

  it("GET /access returns the token's name and scope", async () => {
    expect((await http.send("/api/v1/access")).json).toEqual({
      name: "writer",
      scope: "operate",
      commands: "any",
      version: "1.2.3",
    });
    expect((await http.send("/api/v1/access", { token: http.read })).json.scope).toBe("read");
    expect((await http.send("/api/v1/access", { token: null })).status).toBe(401);
    const readOnly = await httpFixture({ readOnly: true });
    try {
      expect((await readOnly.send("/api/v1/access")).json.scope).toBe("read");
    } finally {
      await readOnly.close();
    }
  });

  it("GET /stats, /diagnosis and /events return their reports", async () => {
    expect((await http.send("/api/v1/projects/shop/stats")).json).toMatchObject({ project: "shop" });
    expect((await http.send("/api/v1/projects/shop/diagnosis?since=10m")).json).toMatchObject({
      project: "shop",
      cause: { kind: "crashed", service: "backend" },
    });
    expect(
      (await http.send("/api/v1/projects/shop/events?limit=3&types=service_crashed")).json.events[0],
    ).toMatchObject({
      type: "service_crashed",
    });
    expect(last()?.request).toMatchObject({ limit: 3, types: ["service_crashed"] });
  });
});

describe("POST and PUT routes", () => {
  const post = (path: string, body?: object) =>
    http.send(path, { method: "POST", ...(body === undefined ? {} : { body }) });

  it("POST start, stop and restart accept requests with and without a body", async () => {
    expect((await post("/api/v1/projects/shop/start")).json).toMatchObject({
      success: true,
      project_id: "shop",
      message: "Started.",
      status: "healthy",
    });
    await post("/api/v1/projects/shop/start", { ports: { backend: 8001 }, wait: false });
    expect(last()).toMatchObject({ method: "start", request: { ports: { backend: 8001 }, wait: false } });
    expect((await post("/api/v1/projects/shop/stop")).json).toMatchObject({ success: true, status: "stopped" });
    expect((await post("/api/v1/projects/shop/restart")).json).toMatchObject({
      success: true,
      project_id: "shop",
      status: "healthy",
    });
    expect(http.manager.calls.slice(-2).map(({ method }) => method)).toEqual(["stop", "start"]);
  });

  it("a restart with invalid input stops nothing", async () => {
    const before = http.manager.calls.length;
    expect((await post("/api/v1/projects/shop/restart", { ports: { backend: 0 } })).status).toBe(400);
    expect(http.manager.calls).toHaveLength(before);
  });

  it("a restart starts the stack again after its client disconnected during the stop", async () => {
    const leave = new AbortController();
    const left = await httpFixture({
      manager: scriptedManager({
        stop: async (_request, { signal }) => {
          leave.abort();
          await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
          return scriptedManager().stop({ project: "shop" }, quiet);
        },
      }),
    });
    try {
      await expect(
        fetch(`${left.url}/api/v1/projects/shop/restart`, {
          method: "POST",
          headers: { authorization: `Bearer ${left.operate}` },
          signal: leave.signal,
        }),
      ).rejects.toThrow();
      await expect.poll(() => left.manager.calls.map(({ method }) => method)).toEqual(["stop", "start"]);
    } finally {
      await left.close();
    }
  });

  it("a stop deletes volumes only with confirm: true", async () => {
    expect((await post("/api/v1/projects/shop/stop", { remove_volumes: true })).json).toMatchObject({
      status: 403,
      code: "CONFIRMATION_REQUIRED",
    });
    expect((await post("/api/v1/projects/shop/stop", { remove_volumes: true, confirm: true })).status).toBe(200);
  });

  it("a service can be restarted, and its limits set", async () => {
    expect((await post("/api/v1/projects/shop/services/backend/restart", { dependents: true })).json).toMatchObject({
      success: true,
      service: "backend",
      message: "Restarted.",
    });
    expect(last()?.request).toMatchObject({ service: "backend", dependents: true });
    const limits = await http.send("/api/v1/projects/shop/services/backend/limits", {
      method: "PUT",
      body: { cpus: 0.5 },
    });
    expect(limits.json).toMatchObject({ success: true, service: "backend", live: true });
    expect((await http.send("/api/v1/projects/shop/services/backend/limits", { method: "PUT", body: {} })).status).toBe(
      400,
    );
  });
});

it("every kind of error has its status, and internal errors show no details", async () => {
  const errors: [unknown, number, string][] = [
    [new StackwardenError("STACK_NOT_RUNNING", "x"), 409, "STACK_NOT_RUNNING"],
    [new StackwardenError("RUNTIME_UNAVAILABLE", "x"), 503, "RUNTIME_UNAVAILABLE"],
    [new StackwardenError("UNKNOWN_SERVICE", "x"), 404, "UNKNOWN_SERVICE"],
    [new Error("secret internals at /src/x.ts:1"), 500, "INTERNAL"],
  ];
  const broken = await httpFixture({
    manager: scriptedManager({
      health: async () => {
        throw errors[0]?.[0];
      },
    }),
  });
  try {
    for (; errors.length > 0; errors.shift()) {
      const [, status, code] = errors[0] as [unknown, number, string];
      const answer = await broken.send("/api/v1/projects/shop/health");
      expect(answer.json).toMatchObject({ status, code });
      expect(answer.text).not.toContain("internals");
    }
    expect(broken.logger.lines.some(({ level }) => level === "error")).toBe(true);
  } finally {
    await broken.close();
  }
});

it("a read-only server refuses changes over REST", async () => {
  const quiet = await httpFixture({ readOnly: true });
  try {
    expect((await quiet.send("/api/v1/projects/shop/start", { method: "POST" })).json).toMatchObject({
      code: "READ_ONLY_MODE",
    });
    expect((await quiet.send("/api/v1/projects")).status).toBe(200);
  } finally {
    await quiet.close();
  }
});

it("logs are streamed as server-sent events, resume after Last-Event-ID and end with the client", async () => {
  const asked: (string | undefined)[] = [];
  let next = 0;
  const aborted: boolean[] = [];
  const streaming = await httpFixture({
    manager: scriptedManager({
      logs: async ({ query }): Promise<LogReport> => {
        asked.push(query.cursor);
        next += 1;
        if (next > 3) {
          await new Promise((resolve) => query.signal?.addEventListener("abort", resolve, { once: true }));
          aborted.push(true);
        }
        const line = {
          seq: next,
          time: TIME,
          service: "backend",
          stream: "stdout" as const,
          generation: 1,
          text: `line ${next}\nx`,
        };
        return {
          project: "shop",
          services: ["backend"],
          lines: [line],
          next_cursor: `c:${next}`,
          line_count: 1,
          omitted: null,
          dropped: {},
        };
      },
    }),
  });
  try {
    const leave = new AbortController();
    const response = await fetch(`${streaming.url}/api/v1/projects/shop/logs/backend?follow=true&tail=5`, {
      headers: { authorization: `Bearer ${streaming.operate}`, "last-event-id": "c:0" },
      signal: leave.signal,
    });
    expect(response.headers.get("content-type")).toBe("text/event-stream");
    let text = "";
    const decoder = new TextDecoder();
    for await (const chunk of response.body ?? []) {
      text += decoder.decode(chunk, { stream: true });
      if (text.includes("id: c:3")) break;
    }
    leave.abort();
    const data = [...text.matchAll(/^event: line\ndata: (.*)$/gm)].map(([, json = ""]) => JSON.parse(json).text);
    expect(data).toEqual(["line 1\nx", "line 2\nx", "line 3\nx"]);
    expect(asked.slice(0, 3)).toEqual(["c:0", "c:1", "c:2"]);
    for (const end = Date.now() + 5000; aborted.length === 0 && Date.now() < end; )
      await new Promise((resolve) => setTimeout(resolve, 20));
    expect(aborted).toEqual([true]);
  } finally {
    await streaming.close();
  }
});

it("GET /metrics counts calls and reports states in the format of Prometheus", async () => {
  const measured = await httpFixture();
  try {
    await measured.send("/api/v1/projects/shop/health");
    await measured.send("/api/v1/projects/nope/health");
    await measured.send("/api/v1/projects/shop/stop", { method: "POST", token: measured.read });
    const client = await sdkClient(measured);
    await client.callTool({ name: "get_logs", arguments: { project: "shop", tail: 0 } });
    measured.manager.emit({
      kind: "events",
      project: "shop",
      event: {
        seq: 1,
        time: TIME,
        project: "shop",
        type: "service_crashed",
        service: "backend",
        message: "x",
        actor: "stackwarden",
        data: { oom_killed: true },
      },
    });
    const { text, headers } = await measured.send("/metrics", { token: measured.read });
    expect(headers["content-type"]).toContain("text/plain");
    for (const line of [
      'stackwarden_operations_total{operation="health_status",result="ok"} 1',
      'stackwarden_operations_total{operation="health_status",result="UNKNOWN_PROJECT"} 1',
      'stackwarden_operations_total{operation="stop_stack",result="FORBIDDEN"} 1',
      'stackwarden_operations_total{operation="get_logs",result="INVALID_INPUT"} 1',
      'stackwarden_operation_duration_seconds_count{operation="health_status"} 2',
      'stackwarden_http_requests_total{route="rest",status="200"} 1',
      'stackwarden_http_requests_total{route="rest",status="404"} 1',
      'stackwarden_service_restarts{project="shop",service="backend"} 0',
      'stackwarden_log_lines_total{project="shop",service="backend"} 12',
      'stackwarden_log_bytes_total{project="shop",service="backend"} 340',
      'stackwarden_log_dropped_lines_total{project="shop",service="backend"} 5',
      "stackwarden_mcp_sessions 1",
      'stackwarden_services{project="shop",state="healthy"} 2',
      'stackwarden_events_total{project="shop",type="service_crashed"} 1',
      'stackwarden_oom_kills_total{project="shop",service="backend"} 1',
    ])
      expect(text.split("\n")).toContain(line);
  } finally {
    await measured.close();
  }
});

it("two concurrent requests of /metrics each get every metric", async () => {
  let readers = 0;
  const both = await httpFixture({
    manager: scriptedManager({
      list: async () => {
        readers += 1;
        await expect.poll(() => readers).toBeGreaterThan(2);
        return scriptedManager().list();
      },
    }),
  });
  try {
    const first = both.send("/api/v1/projects");
    await expect.poll(() => readers).toBe(1);
    const texts = await Promise.all([both.send("/metrics"), both.send("/metrics")]);
    await first;
    for (const { text } of texts)
      for (const line of [
        'stackwarden_services{project="shop",state="healthy"} 2',
        'stackwarden_log_lines_total{project="shop",service="backend"} 12',
      ])
        expect(text.split("\n")).toContain(line);
  } finally {
    await both.close();
  }
});

it("a call is cancelled when its client disconnects while the token is checked", async () => {
  const asked: unknown[] = [];
  const early = await httpFixture({
    manager: scriptedManager({
      logs: async ({ query }) => {
        asked.push(query);
        return new Promise(() => undefined);
      },
    }),
  });
  try {
    const leave = new AbortController();
    const { looking, release } = holdTokenCheck(early.tokens);
    const call = fetch(`${early.url}/api/v1/projects/shop/logs/backend?follow=true`, {
      headers: { authorization: `Bearer ${early.operate}` },
      signal: leave.signal,
    });
    await looking;
    leave.abort();
    await expect(call).rejects.toThrow();
    // The server has noticed the closed connection once it serves later ones.
    for (let count = 0; count < 3; count += 1) await early.send("/healthz");
    release();
    await expect
      .poll(async () => (await early.send("/metrics")).text)
      .toContain('stackwarden_operations_total{operation="get_logs",result="OPERATION_CANCELLED"} 1');
    expect(asked).toEqual([]);
  } finally {
    await early.close();
  }
});

it("docs/REST_API.md lists every metric", async () => {
  const { text } = await http.send("/metrics");
  const names = [...text.matchAll(/^# HELP (\S+)/gm)].map(([, name]) => name);
  const documented = [...readFileSync("docs/REST_API.md", "utf8").matchAll(/`(stackwarden_[a-z_]+)`/g)].map(
    ([, name]) => name,
  );
  expect(names.sort()).toEqual(documented.sort());
});
