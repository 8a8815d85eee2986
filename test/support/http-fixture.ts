/** The production HTTP app over a scripted manager, on a real port. */
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, request as httpRequest, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createHttpApp, type HttpAppOptions } from "../../src/http/app.js";
import { TokenStore } from "../../src/http/tokens.js";
import { createMcpHttpDoor, type McpHttpDoor, type McpHttpOptions } from "../../src/mcp/http.js";
import { recordingLogger } from "./mcp-client.js";
import { type ScriptedManager, scriptedManager } from "./scripted-manager.js";

export interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  text: string;
  // biome-ignore lint/suspicious/noExplicitAny: answers are looked at field by field, as a client does.
  json: any;
}

export interface Sent {
  method?: string;
  headers?: Record<string, string>;
  body?: string | object;
  /** Default: the operate token. Null: none. */
  token?: string | null;
}

export async function httpFixture(
  options: Partial<HttpAppOptions> & { manager?: ScriptedManager; mcp?: Partial<McpHttpOptions> } = {},
) {
  const folder = mkdtempSync(join(tmpdir(), "stackwarden-http-"));
  const tokens = await TokenStore.open(join(folder, "state"));
  const operate = await tokens.add("writer", "operate");
  const read = await tokens.add("reader", "read");
  const manager = options.manager ?? scriptedManager();
  const logger = recordingLogger();
  let mcp: McpHttpDoor | undefined;
  const http = createHttpApp({
    getManager: async () => manager,
    tokens,
    version: "1.2.3",
    logger,
    openMcpDoor: (given) => {
      mcp = createMcpHttpDoor({ ...given, version: "1.2.3", logger, ...options.mcp });
      return mcp;
    },
    ...options,
  });
  const server = createServer({ connectionsCheckingInterval: 200 }, http.app);
  server.headersTimeout = 2000;
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}`;
  /** Raw: the path goes out as it is written, and Host can be anything. */
  const send = (path: string, { method = "GET", headers = {}, body, token = operate }: Sent = {}): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const text = body === undefined ? undefined : typeof body === "string" ? body : JSON.stringify(body);
      const all: Record<string, string> = {
        ...(token === null ? {} : { authorization: `Bearer ${token}` }),
        ...(text === undefined
          ? {}
          : { "content-type": "application/json", "content-length": String(Buffer.byteLength(text)) }),
        ...headers,
      };
      const outgoing = httpRequest(
        { host: "127.0.0.1", port, path, method, headers: all, agent: false },
        (response) => {
          let received = "";
          response.setEncoding("utf8");
          response.on("data", (chunk) => {
            received += chunk;
          });
          response.once("end", () => {
            let json: unknown;
            try {
              json = JSON.parse(received);
            } catch {
              json = undefined;
            }
            resolve({ status: response.statusCode ?? 0, headers: response.headers, text: received, json });
          });
        },
      );
      outgoing.once("error", reject);
      outgoing.end(text);
    });
  return {
    folder,
    url,
    port,
    send,
    tokens,
    operate,
    read,
    manager,
    logger,
    sessions: () => mcp?.sessions ?? 0,
    close: async () => {
      await http.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export type HttpFixture = Awaited<ReturnType<typeof httpFixture>>;
