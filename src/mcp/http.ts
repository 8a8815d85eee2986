/** The Streamable HTTP transport: each session has its own MCP server and its own transport. */
import { randomUUID } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Server } from "@modelcontextprotocol/sdk/server/index.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import { InMemoryEventStore } from "./in-memory-event-store.js";
import { createMcpServer, type McpServerOptions } from "./server.js";

export interface McpHttpOptions extends Omit<McpServerOptions, "sessionId" | "readOnly"> {
  /** Maximum number of concurrent sessions; further ones get 503. Default 256. */
  maxSessions?: number;
  /** Maximum number of concurrent sessions of one owner. Default 64. */
  maxSessionsPerOwner?: number;
  /** Milliseconds without a request after which a session ends. Default 30 minutes. */
  idleMs?: number;
  /**
   * Creates the server of a session. Default: the server of this project. Protocol tests pass a server with more
   * features.
   */
  createServer?(options: McpServerOptions): Server;
}

/** Owner of a session. Requests of other owners get the same answer as for an unknown session. */
export interface SessionOwner {
  id: string;
  name: string;
  readOnly: boolean;
}

export interface McpHttpHandler {
  readonly sessions: number;
  handle(request: IncomingMessage, response: ServerResponse, owner: SessionOwner): Promise<void>;
  /** Ends the sessions whose owner no longer exists. */
  endSessions(isRevoked: (ownerId: string) => boolean): Promise<void>;
  /** Ends every stream that only waits for notifications; calls in progress still get their answer. */
  endStreams(): void;
  /** Ends every session. */
  close(): Promise<void>;
}

/** Maximum size of a request body, in bytes; the arguments of operations are small. */
const MAX_BODY = 1024 * 1024;
/** Milliseconds after which a client should reconnect a broken stream. */
const RETRY_MS = 1000;

interface Session {
  transport: StreamableHTTPServerTransport;
  owner: SessionOwner;
  lastUsed: number;
  /** Number of open requests and streams. */
  open: number;
  close(): Promise<void>;
}

function refuse(response: ServerResponse, status: number, code: number, message: string): void {
  response.writeHead(status, { "Content-Type": "application/json" });
  response.end(JSON.stringify({ jsonrpc: "2.0", error: { code, message }, id: null }));
}

/** Quality value of a media type in an Accept header; 0 when the type is not listed. */
function weight(accept: string, type: string): number {
  const entry = accept.split(",").find((part) => part.trim().toLowerCase().startsWith(type));
  if (entry === undefined) return 0;
  const q = /;\s*q=([\d.]+)/.exec(entry)?.[1];
  return q === undefined ? 1 : Number(q);
}

/**
 * Answers a cancelled request. The SDK never does, and the stream of a request ends only with its answer, so it would
 * stay open until the session ends. The client ignores the answer, because it cancelled the request. It is a result:
 * the SDK's client treats a stream that ends with an error as broken and reopens it.
 */
function endCancelled(transport: StreamableHTTPServerTransport): void {
  const next = transport.onmessage;
  transport.onmessage = (message, extra) => {
    next?.(message, extra);
    if (!("method" in message) || message.method !== "notifications/cancelled") return;
    const { requestId: id } = (message.params ?? {}) as { requestId?: string | number };
    if (id === undefined) return;
    const result = { content: [{ type: "text", text: "The request was cancelled." }], isError: true };
    // The request was already answered, or never existed.
    transport.send({ jsonrpc: "2.0", id, result }).catch(() => undefined);
  };
}

/**
 * The server always accepts both media types. A client that prefers JSON to event streams gets plain JSON in its
 * session.
 */
const prefersJson = ({ headers: { accept = "" } }: IncomingMessage): boolean =>
  weight(accept, "text/event-stream") < weight(accept, "application/json");

export function createMcpHttpHandler(options: McpHttpOptions): McpHttpHandler {
  const { maxSessions = 256, maxSessionsPerOwner = 64, idleMs = 30 * 60_000, logger } = options;
  const sessions = new Map<string, Session>();
  /** Sessions that are being created and are not in the table yet. */
  const starting = new Map<string, number>();
  const sweep = setInterval(
    () => {
      for (const [id, session] of sessions) {
        if (session.open > 0 || Date.now() - session.lastUsed < idleMs) continue;
        logger.debug("MCP session ended: idle", { session: id.slice(0, 8) });
        void session.close();
      }
    },
    Math.max(10, Math.min(idleMs / 2, 60_000)),
  );
  sweep.unref();

  const begin = async (owner: SessionOwner, enableJsonResponse: boolean): Promise<Session> => {
    const id = randomUUID();
    const server = (options.createServer ?? createMcpServer)({
      ...options,
      readOnly: owner.readOnly,
      sessionId: id.slice(0, 8),
    });
    const transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: () => id,
      eventStore: new InMemoryEventStore(),
      retryInterval: RETRY_MS,
      maxRequestBodySize: MAX_BODY,
      enableJsonResponse,
      onsessioninitialized: () => {
        sessions.set(id, session);
      },
    });
    const session: Session = {
      transport,
      owner,
      lastUsed: Date.now(),
      open: 0,
      close: async () => {
        sessions.delete(id);
        // Most sessions are ended by a timer, where a rejection would be unhandled.
        await server.close().catch((error: Error) => logger.warn(`MCP session: ${error.message}`));
      },
    };
    const closed = server.onclose;
    server.onclose = () => {
      sessions.delete(id);
      closed?.();
    };
    // The SDK declares its optional members without `undefined`.
    await server.connect(transport as Parameters<typeof server.connect>[0]);
    endCancelled(transport);
    return session;
  };

  /** The reason why this owner cannot open another session, or null. */
  const full = ({ id }: SessionOwner): string | null => {
    let all = sessions.size;
    let own = starting.get(id) ?? 0;
    for (const count of starting.values()) all += count;
    for (const session of sessions.values()) if (session.owner.id === id) own += 1;
    if (own >= maxSessionsPerOwner) return `You have ${maxSessionsPerOwner} sessions already`;
    return all >= maxSessions ? `There are ${maxSessions} sessions already` : null;
  };

  const serve = async (session: Session, request: IncomingMessage, response: ServerResponse): Promise<void> => {
    session.lastUsed = Date.now();
    // The client disconnected while its token was verified; the end of its request was already handled.
    if (response.closed) return;
    session.open += 1;
    response.once("close", () => {
      session.open -= 1;
      session.lastUsed = Date.now();
    });
    await session.transport.handleRequest(request, response);
  };

  const serveFirst = async (request: IncomingMessage, response: ServerResponse, owner: SessionOwner): Promise<void> => {
    const why = full(owner);
    if (why !== null) {
      response.setHeader("Retry-After", "60");
      refuse(response, 503, -32000, `${why}: end one, or try again later.`);
      return;
    }
    starting.set(owner.id, (starting.get(owner.id) ?? 0) + 1);
    try {
      const session = await begin(owner, prefersJson(request));
      await serve(session, request, response);
      // A request that is not `initialize` has no session.
      if (session.transport.sessionId === undefined) await session.close();
    } finally {
      const left = (starting.get(owner.id) ?? 1) - 1;
      if (left === 0) starting.delete(owner.id);
      else starting.set(owner.id, left);
    }
  };

  return {
    get sessions() {
      return sessions.size;
    },
    handle: async (request, response, owner) => {
      const { method = "", headers } = request;
      if (!["GET", "POST", "DELETE"].includes(method)) {
        response.setHeader("Allow", "GET, POST, DELETE");
        refuse(response, 405, -32000, "Method not allowed.");
        return;
      }
      const id = headers["mcp-session-id"];
      const session = typeof id === "string" ? sessions.get(id) : undefined;
      // Sessions of other owners are reported as unknown.
      if (session !== undefined && session.owner.id === owner.id) await serve(session, request, response);
      else if (id !== undefined) refuse(response, 404, -32001, "Session not found: begin a new one with initialize.");
      else if (method !== "POST") refuse(response, 400, -32000, "The header Mcp-Session-Id is missing.");
      else await serveFirst(request, response, owner);
    },
    endSessions: async (isRevoked) => {
      await Promise.all(
        [...sessions.values()].filter(({ owner }) => isRevoked(owner.id)).map((session) => session.close()),
      );
    },
    endStreams: () => {
      for (const { transport } of sessions.values()) transport.closeStandaloneSSEStream();
    },
    close: async () => {
      clearInterval(sweep);
      await Promise.all([...sessions.values()].map((session) => session.close()));
    },
  };
}
