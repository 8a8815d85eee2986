/**
 * The HTTP server over TLS: real clients that trust its certificate, old versions, renewals and invalid certificates.
 */
import { execFile } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { Agent, get } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ConnectionOptions, connect, type TLSSocket } from "node:tls";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, it } from "vitest";
import { ROOT } from "../e2e/support/bench.js";
import { certificateIn } from "../support/certificate.js";
import { type HttpFixture, httpFixture } from "../support/http-fixture.js";

/** A client of REST and MCP that trusts the certificate through NODE_EXTRA_CA_CERTS. */
const CLIENT = `
  const [url, token] = process.argv.slice(1);
  const headers = { authorization: "Bearer " + token };
  const answer = await fetch(url + "/api/v1/projects", { headers });
  const { Client } = await import("@modelcontextprotocol/sdk/client/index.js");
  const { StreamableHTTPClientTransport } = await import("@modelcontextprotocol/sdk/client/streamableHttp.js");
  const client = new Client({ name: "over-tls", version: "1" });
  await client.connect(new StreamableHTTPClientTransport(new URL(url + "/mcp"), { requestInit: { headers } }));
  const { tools } = await client.listTools();
  const { structuredContent } = await client.callTool({ name: "list_stacks", arguments: { detail: true } });
  console.log(JSON.stringify({ status: answer.status, rest: await answer.json(), tools: tools.length, mcp: structuredContent }));
  await client.close();
`;

let folder: string;
let files: Awaited<ReturnType<typeof certificateIn>>;
let http: HttpFixture;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "stackwarden-tls-"));
  files = await certificateIn(folder);
  const { certFile: tlsCert, keyFile: tlsKey } = files;
  http = await httpFixture({ address: { port: 0, tlsCert, tlsKey, tlsCheckMs: 20 } });
});
afterAll(async () => {
  await http.close();
  rmSync(folder, { recursive: true, force: true });
});

const client = async (trust: Record<string, string>) => {
  const argv = ["--input-type=module", "-e", CLIENT, http.url, http.operate];
  const env = { PATH: process.env.PATH ?? "", ...trust };
  const { stdout } = await promisify(execFile)(process.execPath, argv, { cwd: ROOT, env });
  return JSON.parse(stdout);
};

/** A client that offers only old versions, and the server's alert. */
const OLD = { minVersion: "TLSv1", maxVersion: "TLSv1.1", ciphers: "DEFAULT:@SECLEVEL=0" } as const;
const REFUSED = { code: "ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION" };

/** Rejects with the error of a failed connection. */
const dial = (options: ConnectionOptions): Promise<TLSSocket> =>
  new Promise((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port: http.port, ...options }, () => resolve(socket));
    socket.once("error", reject);
  });

it("the server serves REST and MCP over TLS to clients that trust its certificate", async () => {
  expect(http.url).toMatch(/^https:\/\/127\.0\.0\.1:\d+$/);
  const heard = await client({ NODE_EXTRA_CA_CERTS: files.certFile });
  expect(heard).toMatchObject({ status: 200, rest: { stacks: heard.mcp.stacks } });
  expect(heard.mcp.stacks.length).toBeGreaterThan(0);
  expect(heard.tools).toBeGreaterThan(9);
  await expect(client({})).rejects.toThrow(/DEPTH_ZERO_SELF_SIGNED_CERT|self-signed certificate/);
  await expect(fetch(`${http.url.replace("https", "http")}/healthz`)).rejects.toThrow();
});

it("the server accepts TLS 1.2 and 1.3, and refuses older versions", async () => {
  for (const version of ["TLSv1.2", "TLSv1.3"] as const) {
    const socket = await dial({ ca: files.cert, minVersion: version, maxVersion: version });
    expect(socket.getProtocol()).toBe(version);
    socket.destroy();
  }
  await expect(dial({ ca: files.cert, ...OLD })).rejects.toMatchObject(REFUSED);
});

it("a renewed certificate is used without a restart once both files match, and connections continue", async () => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1, ca: files.cert });
  const ask = (): Promise<number | undefined> =>
    new Promise((resolve, reject) => {
      const headers = { authorization: `Bearer ${http.operate}` };
      get(`${http.url}/api/v1/projects`, { agent, headers }, (response) => {
        response.resume().once("end", () => resolve(response.statusCode));
      }).once("error", reject);
    });
  const served = async (): Promise<string> => {
    const socket = await dial({ rejectUnauthorized: false });
    const { fingerprint256 } = socket.getPeerCertificate();
    socket.destroy();
    return fingerprint256;
  };
  const logged = (text: string) => http.logger.lines.some(({ message }) => message.includes(text));
  const until = async (what: string, holds: () => boolean | Promise<boolean>): Promise<void> => {
    for (const end = Date.now() + 30_000; !(await holds()); await new Promise((resolve) => setTimeout(resolve, 20)))
      if (Date.now() > end) throw new Error(`not within 30 s: ${what}`);
  };
  expect(await ask()).toBe(200);
  const before = await served();
  mkdirSync(join(folder, "new"));
  const renewed = await certificateIn(join(folder, "new"));
  copyFileSync(renewed.certFile, files.certFile);
  await until("it is told that they are no pair", () => logged("The old certificate stays in use"));
  expect(await served()).toBe(before);
  // As a new file, which is how most renewals write.
  renameSync(renewed.keyFile, files.keyFile);
  await until("the new one is served", async () => (await served()) !== before);
  expect(logged("was reloaded")).toBe(true);
  // The agent trusts only the old certificate and continues on its connection.
  expect(await ask()).toBe(200);
  agent.destroy();
  const socket = await dial({ ca: renewed.cert });
  expect(socket.getProtocol()).toBe("TLSv1.3");
  socket.destroy();
  await expect(dial({ ca: renewed.cert, ...OLD })).rejects.toMatchObject(REFUSED);
});

it("an invalid certificate is refused before the server listens", async () => {
  const { certFile, keyFile } = files;
  for (const tls of [
    { tlsCert: certFile },
    { tlsKey: keyFile },
    { tlsCert: certFile, tlsKey: join(folder, "nothing.pem") },
    { tlsCert: keyFile, tlsKey: certFile },
  ])
    await expect(httpFixture({ address: { port: 0, ...tls } })).rejects.toMatchObject({ code: "INVALID_INPUT" });
});
