/** OAuth 2.1 resource server with an issuer on loopback. */
import { ClientCredentialsProvider } from "@modelcontextprotocol/sdk/client/auth-extensions.js";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { exportSPKI, generateKeyPair, SignJWT, UnsecuredJWT } from "jose";
import { afterAll, afterEach, beforeAll, expect, it, vi } from "vitest";
import { createOAuth } from "../../src/http/oauth.js";
import { type HttpFixture, httpFixture } from "../support/http-fixture.js";
import { type LocalIssuer, localIssuer } from "../support/issuer.js";

// The audience contains the port, which is known only once the server runs.
const AUDIENCE = "http://localhost:7717/mcp";
let issuer: LocalIssuer;
let http: HttpFixture;
beforeAll(async () => {
  issuer = await localIssuer(() => AUDIENCE);
  http = await httpFixture({ oauth: createOAuth({ issuer: issuer.issuer, audience: AUDIENCE }) });
});
afterAll(async () => {
  await http.close();
  await issuer.close();
});
afterEach(() => {
  vi.useRealTimers();
});

const stop = (token: string) => http.send("/api/v1/projects/shop/stop", { method: "POST", body: {}, token });

it("the metadata and every 401 name the issuer", async () => {
  for (const path of ["/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/mcp"]) {
    const answer = await http.send(path, { token: null });
    expect(answer.status).toBe(200);
    expect(answer.json).toEqual({
      resource: AUDIENCE,
      authorization_servers: [issuer.issuer],
      scopes_supported: ["stackwarden:read", "stackwarden:operate"],
      bearer_methods_supported: ["header"],
      resource_name: "stackwarden",
    });
    expect((await http.send(path, { token: null, headers: { host: "evil.example" } })).status).toBe(403);
  }
  const refused = await http.send("/mcp", { method: "POST", body: {}, token: null });
  expect(refused.status).toBe(401);
  expect(refused.headers["www-authenticate"]).toBe(
    'Bearer realm="stackwarden", scope="stackwarden:operate", resource_metadata="http://localhost:7717/.well-known/oauth-protected-resource/mcp"',
  );
});

it("tokens of the issuer are accepted by their scope, beside the server's own tokens", async () => {
  const operate = await issuer.sign({ sub: "ada" });
  expect((await stop(operate)).status).toBe(200);
  expect(http.manager.calls.at(-1)?.actor).toBe("rest#ada");
  const read = await issuer.sign({ sub: "bob", scope: "profile stackwarden:read" });
  expect((await http.send("/api/v1/projects", { token: read })).status).toBe(200);
  const refused = await stop(read);
  expect(refused.status).toBe(403);
  expect(refused.headers["www-authenticate"]).toContain('error="insufficient_scope", scope="stackwarden:operate"');
  const listed = await issuer.sign({ sub: "eve", scope: undefined, scp: ["stackwarden:read"] });
  expect((await http.send("/api/v1/projects", { token: listed })).status).toBe(200);
  const none = await http.send("/api/v1/projects", { token: await issuer.sign({ sub: "mallory", scope: "email" }) });
  expect(none.status).toBe(403);
  expect(none.headers["www-authenticate"]).toContain('error="insufficient_scope"');
  expect((await http.send("/api/v1/projects", { token: http.read })).status).toBe(200);
});

it("a token of another issuer, audience, key or time is refused", async () => {
  const now = Math.floor(Date.now() / 1000);
  const good = await issuer.sign({ sub: "ada" });
  const [header, , signature] = good.split(".");
  const claims = { iss: issuer.issuer, aud: AUDIENCE, sub: "ada", scope: "stackwarden:operate", exp: now + 300 };
  const payload = Buffer.from(JSON.stringify({ ...claims, sub: "root" })).toString("base64url");
  const { privateKey } = await generateKeyPair("ES256");
  const publicText = new TextEncoder().encode(await exportSPKI(issuer.publicKey));
  const forged: Record<string, string> = {
    "another audience": await issuer.sign({ sub: "ada", aud: "http://localhost:7717" }),
    "an audience that only begins alike": await issuer.sign({ sub: "ada", aud: `${AUDIENCE}.evil.example` }),
    "no audience": await issuer.sign({ sub: "ada", aud: undefined }),
    "another issuer": await issuer.sign({ sub: "ada", iss: "http://127.0.0.1:1" }),
    expired: await issuer.sign({ sub: "ada", exp: now - 60 }),
    "without an end": await issuer.sign({ sub: "ada", exp: undefined }),
    "not yet": await issuer.sign({ sub: "ada", nbf: now + 120 }),
    "of nobody": await issuer.sign({}),
    "another key": await issuer.sign({ sub: "ada" }, { key: privateKey }),
    "an unknown key": await issuer.sign({ sub: "ada" }, { key: privateKey, kid: "k2" }),
    "no signature": new UnsecuredJWT(claims).encode(),
    "the public key as a secret": await new SignJWT(claims)
      .setProtectedHeader({ alg: "HS256", kid: "k1" })
      .sign(publicText),
    "a changed payload": `${header}.${payload}.${signature}`,
    "half of it": `${header}.${payload}`,
    garbage: "a.b.c",
  };
  for (const [what, token] of Object.entries(forged)) {
    const answer = await stop(token);
    expect(answer.status, what).toBe(401);
    expect(answer.json.code, what).toBe("UNAUTHORIZED");
  }
  expect((await stop(good)).status).toBe(200);
});

it("a session belongs to the subject and scope of its token", async () => {
  const tokens = await Promise.all([
    issuer.sign({ sub: "ada" }),
    issuer.sign({ sub: "bob" }),
    issuer.sign({ sub: "ada", scope: "stackwarden:read" }),
    // Renewed by the client.
    issuer.sign({ sub: "ada", jti: "2" }),
  ]);
  const headers = { accept: "application/json, text/event-stream" };
  const begun = await http.send("/mcp", {
    method: "POST",
    token: tokens[0],
    headers,
    body: {
      jsonrpc: "2.0",
      id: 1,
      method: "initialize",
      params: { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "t", version: "1" } },
    },
  });
  const session = begun.headers["mcp-session-id"] as string;
  const statuses = await Promise.all(
    tokens.map(async (token) => {
      const sent = { jsonrpc: "2.0", id: 2, method: "ping" };
      return (
        await http.send("/mcp", {
          method: "POST",
          token,
          headers: { ...headers, "mcp-session-id": session },
          body: sent,
        })
      ).status;
    }),
  );
  expect(statuses).toEqual([200, 404, 404, 200]);
});

it("a principal is valid until its token expires", async () => {
  const oauth = createOAuth({ issuer: issuer.issuer, audience: AUDIENCE });
  const principal = await oauth.verify(await issuer.sign({ sub: "ada" }));
  expect(principal?.valid()).toBe(true);
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 400_000 });
  expect(principal?.valid()).toBe(false);
});

it("tokens of an unreachable issuer are refused, and the server's own tokens are accepted", async () => {
  const token = await issuer.sign({ sub: "ada" });
  const broken: Record<string, { status: number; body: unknown }>[] = [
    { "/.well-known/oauth-authorization-server": { status: 500, body: {} } },
    {
      "/.well-known/oauth-authorization-server": {
        status: 200,
        body: { issuer: "https://evil.example", jwks_uri: "x" },
      },
    },
    { "/.well-known/oauth-authorization-server": { status: 200, body: { issuer: issuer.issuer } } },
    {
      "/.well-known/oauth-authorization-server": {
        status: 200,
        body: { issuer: issuer.issuer, jwks_uri: "http://evil.example/keys" },
      },
    },
    { "/keys": { status: 503, body: {} } },
    { "/keys": { status: 200, body: { keys: "none" } } },
  ];
  const other = await httpFixture({ oauth: createOAuth({ issuer: issuer.issuer, audience: AUDIENCE }) });
  try {
    for (const overrides of broken) {
      Object.assign(issuer.overrides, overrides);
      const answer = await other.send("/api/v1/projects", { token });
      expect(answer.json, JSON.stringify(overrides)).toMatchObject({ status: 503, code: "RUNTIME_UNAVAILABLE" });
      expect(answer.text).not.toContain(issuer.issuer);
      expect((await other.send("/api/v1/projects")).status).toBe(200);
      for (const path of Object.keys(overrides)) delete issuer.overrides[path];
      if (overrides["/keys"] === undefined) expect(other.logger.lines.at(-1)?.level).toBe("warn");
    }
  } finally {
    await other.close();
  }
});

it.each([
  { issuer: "http://issuer.example", audience: AUDIENCE },
  { issuer: "https://issuer.example", audience: "http://stack.example/mcp" },
  { issuer: "ftp://localhost", audience: AUDIENCE },
  { issuer: "https://issuer.example", audience: "https://stack.example/mcp#x" },
  { issuer: "https://issuer.example", audience: AUDIENCE, jwksUri: "http://issuer.example/keys" },
])("the issuer $issuer with the audience $audience is refused", (options) => {
  expect(() => createOAuth(options)).toThrow(expect.objectContaining({ code: "INVALID_INPUT" }));
});

it("the SDK's client discovers the issuer, gets a token and calls a tool", async () => {
  let audience = AUDIENCE;
  const own = await localIssuer(() => audience);
  const { createServer } = await import("node:net");
  // The audience contains the port, so that the port must be known first.
  const port = await new Promise<number>((resolve) => {
    const probe = createServer().listen(0, "127.0.0.1", () => {
      const { port: free } = probe.address() as { port: number };
      probe.close(() => resolve(free));
    });
  });
  audience = `http://127.0.0.1:${port}/mcp`;
  const server = await httpFixture({
    address: { port },
    oauth: createOAuth({ issuer: own.issuer, audience, jwksUri: `${own.issuer}/keys` }),
  });
  try {
    const client = new Client({ name: "oauth", version: "1" });
    const transport = new StreamableHTTPClientTransport(new URL(audience), {
      authProvider: new ClientCredentialsProvider({
        clientId: "robot",
        clientSecret: "secret",
        scope: "stackwarden:operate",
        expectedIssuer: own.issuer,
      }),
    });
    await client.connect(transport as Parameters<typeof client.connect>[0]);
    const result = await client.callTool({ name: "stop_stack", arguments: { project: "shop" } });
    expect(result.isError ?? false).toBe(false);
    expect(own.asked).toEqual(expect.arrayContaining(["/.well-known/oauth-authorization-server", "/token", "/keys"]));
    await client.close();
  } finally {
    await server.close();
    await own.close();
  }
});
