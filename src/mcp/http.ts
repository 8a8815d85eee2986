/** The Streamable HTTP door: one MCP server and one transport for each session, never shared. */
import { randomUUID } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { type EventStore, StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import type { JSONRPCMessage } from "@modelcontextprotocol/sdk/types.js";
import { createMcpServer, type McpServerOptions } from "./server.js";

export interface McpHttpOptions extends Omit<McpServerOptions, "sessionId" | "readOnly"> {
  /** Sessions at the same time; more are refused with 503. Default 100. */
  maxSessions?: number;
  /** Milliseconds without a request after which a session ends. Default 30 minutes. */
  idleMs?: number;
}

/** Who a session belongs to: only the same token may use it. */
export interface SessionOwner {
  name: string;
  readOnly: boolean;
}

export interface McpHttpDoor {
  readonly sessions: number;
  handle(request: IncomingMessage, response: ServerResponse, owner: SessionOwner): Promise<void>;
  /** Ends every session. */
  close(): Promise<void>;
}

/** Messages kept of each stream for a client that comes back. */
const KEPT_EVENTS = 1000;

/** Bounded: what is older than the last thousand messages cannot be resumed. */
class RecentEvents implements EventStore {
  #events: { id: string; stream: string; message: JSONRPCMessage }[] = [];
  #next = 0;

  async storeEvent(stream: string, message: JSONRPCMessage): Promise<string> {
    this.#next += 1;
    const id = `${stream}_${this.#next}`;
    this.#events.push({ id, stream, message });
    if (this.#events.length > KEPT_EVENTS) this.#events.shift();
    return id;
  }

  async getStreamIdForEventId(id: string): Promise<string | undefined> {
    return this.#events.find((event) => event.id === id)?.stream;
  }

  async replayEventsAfter(
    lastEventId: string,
    { send }: { send: (eventId: string, message: JSONRPCMessage) => Promise<void> },
  ): Promise<string> {
    const from = this.#events.findIndex((event) => event.id === lastEventId);
    const stream = this.#events[from]?.stream;
    if (stream === undefined) return "";
    for (const event of this.#events.slice(from + 1)) if (event.stream === stream) await send(event.id, event.message);
    return stream;
  }
}

interface Session {
  transport: StreamableHTTPServerTransport;
  owner: SessionOwner;
  lastUsed: number;
  /** Requests and streams that are open now. */
  open: number;
  close(): Promise<void>;
}

function refuse(response: ServerResponse, status: number, code: number, message: string): void {
  response.writeHead(status, { "Content-Type": "application/json" });
  response.end(JSON.stringify({ jsonrpc: "2.0", error: { code, message }, id: null }));
}

export function createMcpHttpDoor(options: McpHttpOptions): McpHttpDoor {
  const { maxSessions = 100, idleMs = 30 * 60_000, logger } = options;
  const sessions = new Map<string, Session>();
  const sweep = setInterval(
    () => {
      for (const [id, session] of sessions) {
        if (session.open > 0 || Date.now() - session.lastUsed < idleMs) continue;
        logger.debug("MCP session ended: idle", { session: id });
        void session.close();
      }
    },
    Math.max(10, Math.min(idleMs / 2, 60_000)),
  );
  sweep.unref();

  const begin = async (owner: SessionOwner): Promise<Session> => {
    const id = randomUUID();
    const server = createMcpServer({ ...options, readOnly: owner.readOnly, sessionId: id.slice(0, 8) });
    const transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: () => id,
      eventStore: new RecentEvents(),
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
        await server.close();
      },
    };
    const closed = server.onclose;
    server.onclose = () => {
      sessions.delete(id);
      closed?.();
    };
    // Its optional members are typed without `undefined`.
    await server.connect(transport as Parameters<typeof server.connect>[0]);
    return session;
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
      let session = typeof id === "string" ? sessions.get(id) : undefined;
      // Somebody else's session does not exist for this token.
      if (session !== undefined && session.owner.name !== owner.name) session = undefined;
      if (session === undefined) {
        if (id !== undefined) {
          refuse(response, 404, -32001, "Session not found: begin a new one with initialize.");
          return;
        }
        if (method !== "POST") {
          refuse(response, 400, -32000, "The header Mcp-Session-Id is missing.");
          return;
        }
        if (sessions.size >= maxSessions) {
          response.setHeader("Retry-After", "60");
          refuse(response, 503, -32000, `There are ${maxSessions} sessions already: end one, or try again later.`);
          return;
        }
        session = await begin(owner);
      }
      const used = session;
      used.lastUsed = Date.now();
      used.open += 1;
      response.once("close", () => {
        used.open -= 1;
        used.lastUsed = Date.now();
      });
      await used.transport.handleRequest(request, response);
      // What was no initialize has no session to live in.
      if (used.transport.sessionId === undefined) await used.close();
    },
    close: async () => {
      clearInterval(sweep);
      await Promise.all([...sessions.values()].map((session) => session.close()));
    },
  };
}
