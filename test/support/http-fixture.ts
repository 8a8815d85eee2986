/** The production HTTP server over a scripted manager, on a real port and a real socket file. */
import { mkdtempSync, rmSync } from "node:fs";
import { type Agent, request as httpRequest, type IncomingHttpHeaders } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { type HttpServerOptions, openHttpServer } from "../../src/http/server.js";
import { TokenStore } from "../../src/http/tokens.js";
import { createMcpHttpHandler, type McpHttpHandler, type McpHttpOptions } from "../../src/mcp/http.js";
import { recordingLogger } from "./mcp-client.js";
import { COMPILE_ONCE } from "./output-schemas.js";
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
  /** Default: the operate token. Null: no token. */
  token?: string | null;
  /** Uses the socket file instead of the port. */
  overSocket?: boolean;
  /** Keeps connections. Default: each request has a connection for itself. */
  agent?: Agent;
}

export async function httpFixture(
  options: Partial<HttpServerOptions> & { manager?: ScriptedManager; mcp?: Partial<McpHttpOptions> } = {},
) {
  const folder = mkdtempSync(join(tmpdir(), "stackwarden-http-"));
  const tokens = await TokenStore.open(join(folder, "state"));
  const operate = await tokens.add("writer", "operate");
  const read = await tokens.add("reader", "read");
  const manager = options.manager ?? scriptedManager();
  const logger = recordingLogger();
  let mcp: McpHttpHandler | undefined;
  const socket = join(folder, "http.sock");
  const http = await openHttpServer({
    address: { port: 0 },
    socket,
    limits: { headersMs: 1000, requestMs: 2000 },
    getManager: async () => manager,
    tokens,
    version: "1.2.3",
    logger,
    createMcpHandler: (given) => {
      mcp = createMcpHttpHandler({ ...given, version: "1.2.3", logger, ...options.mcp });
      return mcp;
    },
    ...options,
  }).catch((error: unknown) => {
    rmSync(folder, { recursive: true, force: true });
    throw error;
  });
  const url = http.url ?? "";
  const port = Number(new URL(url).port);
  /** Sends the path unchanged and any Host header. */
  const send = (
    path: string,
    { method = "GET", headers = {}, body, token = operate, overSocket = false, agent }: Sent = {},
  ): Promise<Answer> =>
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
        {
          ...(overSocket ? { socketPath: socket } : { host: "127.0.0.1", port }),
          path,
          method,
          headers: all,
          agent: agent ?? false,
        },
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
    socket,
    door: http,
    close: async () => {
      await http.close(0);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Holds the next check of a token until it is released; `looking` settles when the check has begun. */
export function holdTokenCheck(tokens: TokenStore): { looking: Promise<void>; release(): void } {
  const refresh = tokens.refresh.bind(tokens);
  let release: () => void = () => undefined;
  const looking = new Promise<void>((resolve) => {
    tokens.refresh = async () => {
      resolve();
      tokens.refresh = refresh;
      await new Promise<void>((go) => {
        release = go;
      });
    };
  });
  return { looking, release: () => release() };
}

export type HttpFixture = Awaited<ReturnType<typeof httpFixture>>;

/** The SDK's client, connected. */
export async function sdkClient({ url, operate }: Pick<HttpFixture, "url" | "operate">): Promise<Client> {
  const client = new Client({ name: "sdk", version: "1" }, COMPILE_ONCE);
  const transport = new StreamableHTTPClientTransport(new URL(`${url}/mcp`), {
    requestInit: { headers: { authorization: `Bearer ${operate}` } },
  });
  await client.connect(transport as Parameters<typeof client.connect>[0]);
  return client;
}

export async function endSession(client: Client): Promise<void> {
  await (client.transport as StreamableHTTPClientTransport).terminateSession();
  await client.close();
}
