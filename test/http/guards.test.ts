/** Attacks on the HTTP server: each is refused without a stack trace, and the server answers afterwards. */
import { statSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { ROUTES } from "../../src/http/routes.js";
import { TokenStore } from "../../src/http/tokens.js";
import { type Answer, type HttpFixture, httpFixture } from "../support/http-fixture.js";

let http: HttpFixture;
beforeAll(async () => {
  http = await httpFixture({ allowedHosts: ["stack.example"], allowedOrigins: ["https://ui.example"] });
});
afterAll(() => http.close());
afterEach(async () => {
  expect((await http.send("/healthz", { token: null })).status).toBe(200);
  expect((await http.send("/api/v1/projects")).status).toBe(200);
});

function refused(answer: Answer, status: number, code: string): void {
  expect(answer.status).toBe(status);
  expect(answer.headers["content-type"]).toBe("application/problem+json; charset=utf-8");
  expect(answer.json).toMatchObject({ status, code, type: `urn:stackwarden:error:${code}`, hint: expect.any(String) });
  expect(answer.text).not.toMatch(/\bat .*\.[tj]s:\d+|node_modules|\/src\//);
}

describe("Host and Origin", () => {
  it.each([
    "evil.example",
    "127.0.0.1.evil.example",
    "localhost.evil.example",
    "a b",
    "127.0.0.1:80:80",
    "[::1",
    "stack.example@evil.example",
  ])("the Host %j is refused even with a token", async (host) => {
    const answer = await http.send("/api/v1/projects", { headers: { host } });
    refused(answer, 403, "FORBIDDEN");
    expect((await http.send("/healthz", { headers: { host } })).status).toBe(403);
  });

  it.each(["localhost", "LOCALHOST:1", "[::1]:80", "stack.example", "Stack.Example:443"])(
    "the Host %j is accepted",
    async (host) => {
      expect((await http.send("/healthz", { headers: { host } })).status).toBe(200);
    },
  );

  it.each([
    "http://evil.example",
    "null",
    "https://ui.example.evil.example",
    "http://localhost:1",
    "file://",
    "http://127.0.0.1",
  ])("the Origin %j is refused", async (origin) => {
    for (const path of ["/api/v1/projects", "/mcp", "/healthz"])
      refused(await http.send(path, { headers: { origin } }), 403, "FORBIDDEN");
  });

  it("the server's own and allowed origins are accepted, and no CORS header is sent", async () => {
    for (const origin of [http.url, "https://ui.example"]) {
      const answer = await http.send("/api/v1/projects", { headers: { origin } });
      expect(answer.status).toBe(200);
      expect(Object.keys(answer.headers).filter((name) => name.startsWith("access-control"))).toEqual([]);
    }
    expect((await http.send("/api/v1/projects")).headers["x-powered-by"]).toBeUndefined();
  });
});

describe("tokens", () => {
  it.each<[string, Record<string, string>]>([
    ["no token", {}],
    ["a wrong token", { authorization: "Bearer wrong" }],
    ["another scheme", { authorization: "Basic d3JpdGVyOng=" }],
    ["an empty token", { authorization: "Bearer " }],
    ["two tokens", { authorization: "Bearer a Bearer b" }],
    ["a token of 5,000 characters", { authorization: `Bearer ${"a".repeat(5000)}` }],
  ])("a request with %s is refused with 401", async (_name, headers) => {
    for (const path of ["/api/v1/projects", "/api/v1/openapi.json", "/mcp", "/metrics", "/index.html", "/nothing"]) {
      const answer = await http.send(path, { token: null, headers });
      refused(answer, 401, "UNAUTHORIZED");
      expect(answer.headers["www-authenticate"]).toMatch(/^Bearer/);
    }
  });

  it("a token in the query string is ignored", async () => {
    refused(
      await http.send(`/api/v1/projects?token=${http.operate}&access_token=${http.operate}`, { token: null }),
      401,
      "UNAUTHORIZED",
    );
  });

  it("a token of scope read can read and changes nothing", async () => {
    const { manager, read } = http;
    const before = manager.calls.length;
    for (const [method, path] of [
      ["POST", "/api/v1/projects/shop/start"],
      ["POST", "/api/v1/projects/shop/stop"],
      ["POST", "/api/v1/projects/shop/restart"],
      ["POST", "/api/v1/projects/shop/services/backend/restart"],
      ["PUT", "/api/v1/projects/shop/services/backend/limits"],
    ] as const)
      refused(await http.send(path, { method, token: read, body: {} }), 403, "FORBIDDEN");
    expect(manager.calls.slice(before)).toEqual([]);
    expect((await http.send("/api/v1/projects/shop/health", { token: read })).status).toBe(200);
  });

  it("tokens are stored as hashes with mode 0600, replaced by name, and removed", async () => {
    const state = join(http.folder, "state");
    const tokens = await TokenStore.open(state);
    for (const file of ["tokens.json", "token"]) expect(statSync(join(state, file)).mode & 0o777).toBe(0o600);
    expect(
      tokens
        .list()
        .map(({ name }) => name)
        .sort(),
    ).toEqual(["default", "reader", "writer"]);
    const first = await tokens.add("temp", "read");
    const second = await tokens.add("temp", "operate");
    expect(first).toHaveLength(43);
    expect(tokens.verify(first)).toBeNull();
    expect(tokens.verify(second)).toMatchObject({ name: "temp", scope: "operate" });
    await tokens.remove("temp");
    expect(tokens.verify(second)).toBeNull();
    await expect(tokens.remove("temp")).rejects.toMatchObject({ code: "INVALID_INPUT" });
    await expect(tokens.add("../x", "read")).rejects.toMatchObject({ code: "INVALID_INPUT" });
  });
});

/** Every parameter of every route, one at a time. */
const PARAMETERS = [
  ...ROUTES.map(({ method, path }) => ({ method: method.toUpperCase(), path })),
  { method: "GET", path: "/projects/{id}" },
  { method: "GET", path: "/projects/{id}/status" },
  { method: "POST", path: "/projects/{id}/restart" },
].flatMap(({ method, path }) =>
  [...path.matchAll(/\{\w+\}/g)].map(([parameter]) => ({
    method,
    path: path.replace(parameter, "{part}").replace("{id}", "shop").replace("{service}", "backend"),
  })),
);

describe("bodies and paths", () => {
  it("a body that is too large, malformed, not a JSON object or compressed is refused", async () => {
    const post = (sent: object) => http.send("/api/v1/projects/shop/start", { method: "POST", ...sent });
    refused(await post({ body: `{"folder":"${"a".repeat(300_000)}"}` }), 413, "PAYLOAD_TOO_LARGE");
    refused(await post({ body: '{"folder":' }), 400, "INVALID_INPUT");
    refused(await post({ body: '"text"' }), 400, "INVALID_INPUT");
    refused(await post({ body: "[]" }), 400, "INVALID_INPUT");
    refused(
      await post({ body: "folder=x", headers: { "content-type": "application/x-www-form-urlencoded" } }),
      415,
      "UNSUPPORTED_MEDIA_TYPE",
    );
    refused(await post({ body: "{}", headers: { "content-type": "text/plain" } }), 415, "UNSUPPORTED_MEDIA_TYPE");
    refused(await post({ body: "{}", headers: { "content-encoding": "gzip" } }), 415, "UNSUPPORTED_MEDIA_TYPE");
    refused(await post({ body: '{"__proto__":{"x":1}}' }), 400, "INVALID_INPUT");
    refused(await post({ body: '{"project":"other"}' }), 400, "INVALID_INPUT");
    refused(await post({ body: '{"unknown":1}' }), 400, "INVALID_INPUT");
    refused(await post({ body: `${'{"limits":'.repeat(200)}1${"}".repeat(200)}` }), 400, "INVALID_INPUT");
  });

  it.each([
    "..",
    "%2e%2e",
    "..%2f..%2fetc%2fpasswd",
    "%00",
    "--rm",
    "__proto__",
    "constructor",
    "a%0ab",
    "%F0%9F%98%80",
    "A",
    "a".repeat(64),
    "%E0%A4%A",
  ])("%s is refused as a project, service or snapshot", async (part) => {
    // Looking up a project calls list.
    const touched = () => http.manager.calls.filter(({ method }) => method !== "list").length;
    const before = touched();
    for (const { method, path } of PARAMETERS) {
      // Both are valid service names, and "A" is a valid snapshot name.
      const ofService = path.includes("{part}/restart") || /(logs|services)\/\{part\}/.test(path);
      if (["A", "constructor"].includes(part) && ofService) continue;
      if (part === "A" && path.includes("snapshots/{part}")) continue;
      const sent = method === "GET" ? { method } : { method, body: {} };
      const answer = await http.send(`/api/v1${path.replace("{part}", part)}`, sent);
      expect([400, 404], `${method} ${path}`).toContain(answer.status);
      refused(answer, answer.status, answer.json.code);
    }
    expect(touched()).toBe(before);
  });

  it("an unknown path is answered with 404 and another method with 405", async () => {
    refused(await http.send("/nothing"), 404, "NOT_FOUND");
    refused(await http.send("/api/v1/nothing"), 404, "NOT_FOUND");
    refused(await http.send("/api/v1/projects/"), 404, "NOT_FOUND");
    const wrong = await http.send("/api/v1/projects/shop/start");
    refused(wrong, 405, "METHOD_NOT_ALLOWED");
    expect(wrong.headers.allow).toBe("POST");
    refused(await http.send("/api/v1/projects", { method: "DELETE" }), 405, "METHOD_NOT_ALLOWED");
    const both = await http.send("/api/v1/projects/shop/snapshots", { method: "DELETE" });
    refused(both, 405, "METHOD_NOT_ALLOWED");
    expect(both.headers.allow).toBe("POST, GET");
  });

  /** Everything that arrives on a new connection until it closes. */
  const talk = (text: string): Promise<string> => {
    const socket = connect(http.port, "127.0.0.1");
    const ended = new Promise<string>((resolve) => {
      let received = "";
      socket.on("data", (chunk) => {
        received += chunk;
      });
      socket.on("close", () => resolve(received));
      socket.on("error", () => undefined);
    });
    socket.write(text);
    return ended;
  };
  const head = (method: string, path: string, ...more: string[]): string =>
    [`${method} ${path} HTTP/1.1`, "Host: localhost", `Authorization: Bearer ${http.operate}`, ...more, "", ""].join(
      "\r\n",
    );

  it("a request whose headers or body arrive too slowly is closed", async () => {
    const before = http.manager.calls.length;
    const slow = await Promise.all([
      talk("GET /healthz HTTP/1.1\r\nHost: local"),
      ...["/api/v1/projects/shop/stop", "/mcp"].map((path) =>
        talk(
          `${head("POST", path, "Accept: application/json, text/event-stream", "Content-Type: application/json", "Content-Length: 100")}{`,
        ),
      ),
    ]);
    for (const answer of slow) expect(answer).toMatch(/^(HTTP\/1\.1 408|$)/);
    expect(http.manager.calls).toHaveLength(before);
    expect(http.sessions()).toBe(0);
  }, 60_000);

  it("invalid HTTP and ambiguous requests are refused", async () => {
    for (const [text, status] of [
      ["GARBAGE\r\n\r\n", 400],
      ["GET /healthz HTTP/1.1\r\n\r\n", 400],
      [head("GET", "/api/v1/projects", `X-Long: ${"a".repeat(40_000)}`), 431],
      [head("POST", "/api/v1/projects/shop/stop", "Content-Length: 2", "Transfer-Encoding: chunked"), 400],
      [head("POST", "/api/v1/projects/shop/stop", "Content-Length: 2", "Content-Length: 3"), 400],
      [head("GET", "/api/v1/projects", "X-Fold: a\r\n b\0"), 400],
    ] as const) {
      const answer = await talk(text);
      expect(answer.split("\r\n")[0]).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
      expect(answer).not.toMatch(/node_modules|\bat .*\.js/);
    }
    // Proxies may use different ones of two Host headers.
    for (const hosts of [
      "Host: evil.example\r\nHost: localhost",
      "Host: localhost\r\nhost: evil.example",
      "Host: localhost\r\nHost: localhost",
    ]) {
      const twice = head("GET", "/healthz", "Connection: close").replace("Host: localhost", hosts);
      expect((await talk(twice)).split("\r\n")[0], hosts).toMatch(/^HTTP\/1\.1 400 /);
    }
  });
});

it("connections that send nothing do not exclude other requests of the same source", async () => {
  const small = await httpFixture({ limits: { anonymousPerSource: 8, headersMs: 60_000, requestMs: 60_000 } });
  const closed: number[] = [];
  const held: Socket[] = [];
  try {
    for (let index = 0; index < 40; index += 1) {
      const socket = connect(small.port, "127.0.0.1");
      held.push(socket);
      socket.on("error", () => undefined);
      socket.once("close", () => closed.push(index));
      await new Promise((resolve) => socket.once("connect", resolve));
      socket.write("GET /healthz HTTP/1.1\r\nHost: local");
    }
    // The oldest connections were closed, and eight remain.
    await expect.poll(() => closed.length, { timeout: 30_000 }).toBe(32);
    expect([...closed].sort((a, b) => a - b)).toEqual(Array.from({ length: 32 }, (_, index) => index));
    for (let round = 0; round < 12; round += 1) expect((await small.send("/healthz")).status).toBe(200);
  } finally {
    for (const socket of held) socket.destroy();
    await small.close();
  }
});

it("OAuth discovery is answered with 404 when no issuer is configured", async () => {
  for (const path of [
    "oauth-protected-resource",
    "oauth-protected-resource/mcp",
    "oauth-authorization-server",
    "openid-configuration",
  ]) {
    const answer = await http.send(`/.well-known/${path}`, { token: null });
    expect(answer).toMatchObject({ status: 404, json: { code: "NOT_FOUND" } });
    expect(answer.headers["www-authenticate"]).toBeUndefined();
  }
});

it("connections above the limit are closed, and a slot is free after another one closes", async () => {
  const small = await httpFixture({ limits: { connections: 4, headersMs: 60_000, requestMs: 60_000 } });
  const held = Array.from({ length: 4 }, () => connect(small.port, "127.0.0.1"));
  try {
    await Promise.all(held.map((socket) => new Promise((resolve) => socket.once("connect", resolve))));
    await expect
      .poll(() =>
        small.send("/healthz").then(
          () => "answered",
          () => "closed",
        ),
      )
      .toBe("closed");
    held.pop()?.destroy();
    await expect
      .poll(() =>
        small.send("/healthz").then(
          ({ status }) => status,
          () => 0,
        ),
      )
      .toBe(200);
  } finally {
    for (const socket of held) socket.destroy();
    await small.close();
  }
});

it("the request rate is limited for each token separately", async () => {
  const limited = await httpFixture({ requestsPerMinute: 5 });
  try {
    for (let i = 0; i < 5; i += 1) expect((await limited.send("/api/v1/projects")).status).toBe(200);
    const answer = await limited.send("/api/v1/projects");
    refused(answer, 429, "TOO_MANY_REQUESTS");
    expect(answer.headers["retry-after"]).toBeDefined();
    expect((await limited.send("/api/v1/projects", { token: limited.read })).status).toBe(200);
  } finally {
    await limited.close();
  }
});
