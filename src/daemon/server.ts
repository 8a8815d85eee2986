/** The socket of the background server: who may come in, and what becomes of each connection. */
import { timingSafeEqual } from "node:crypto";
import { rm } from "node:fs/promises";
import { createServer, type Socket } from "node:net";
import { StackwardenError, toStackwardenError, transferError } from "../errors.js";
import type { Logger } from "../logger.js";
import { listenPrivately } from "../system/private-socket.js";
import {
  type ClientHello,
  encodeLine,
  firstLine,
  type HandshakeReply,
  PROTOCOL,
  parseClientHello,
  type ServerStatus,
} from "./handshake.js";

/** Long enough for a laptop that just woke up. */
const HELLO_MS = 10_000;
/** A connection costs memory; nobody has so many agents. */
const MAX_CONNECTIONS = 256;
/** What a client that reads nothing may let pile up. */
const MAX_UNREAD_BYTES = 64 * 1_048_576;
const UNREAD_CHECK_MS = 2_000;

export interface IncomingConnection {
  hello: ClientHello;
  /** Names the session in events. */
  session: string;
  socket: Socket;
}

export interface DaemonServerOptions {
  socket: string;
  key: string;
  logger: Logger;
  status(): ServerStatus;
  /**
   * Prepares what the hello asks for. What it returns runs after the welcome was written.
   * @throws what the client is refused with
   */
  receive(visit: IncomingConnection): Promise<() => Promise<void> | void>;
  /** Names the next session. */
  nextSession(): string;
  maxConnections?: number;
}

export interface DaemonServer {
  /** Nobody new comes in; the socket is gone. */
  shut(): Promise<void>;
  /** Ends every connection: politely, then for good. */
  disconnect(withinMs: number): Promise<void>;
}

/** Listens. A socket that a killed server left is replaced: the caller has the lock, so nobody else listens. */
export async function openDaemonServer(options: DaemonServerOptions): Promise<DaemonServer> {
  const { logger, maxConnections = MAX_CONNECTIONS } = options;
  const connections = new Set<Socket>();
  // A client may end its half and still wait for answers.
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", (error) => logger.debug(`connection: ${error.message}`));
    connections.add(socket);
    socket.once("close", () => connections.delete(socket));
    if (connections.size > maxConnections) {
      const { refuse } = answers(socket);
      refuse(new StackwardenError("TOO_MANY_REQUESTS", `The background server has ${maxConnections} connections.`));
      return;
    }
    meet(socket, options).catch((error: unknown) => {
      logger.warn(`a connection failed: ${(error as Error).message}`);
      socket.destroy();
    });
  });
  if (process.platform !== "win32") await rm(options.socket, { force: true });
  await listenPrivately(server, options.socket);
  const watch = setInterval(() => {
    for (const socket of connections) {
      if (socket.writableLength <= MAX_UNREAD_BYTES) continue;
      logger.warn("A client reads nothing of what it is sent; its connection is ended.");
      socket.destroy();
    }
  }, UNREAD_CHECK_MS);
  watch.unref();
  let shut: Promise<void> | undefined;
  return {
    shut: () => {
      clearInterval(watch);
      shut ??= rm(options.socket, { force: true }).then(() => {
        server.close();
      });
      return shut;
    },
    disconnect: async (withinMs) => {
      for (const socket of connections) socket.end();
      for (const end = Date.now() + withinMs; connections.size > 0 && Date.now() < end; )
        await new Promise((resolve) => setTimeout(resolve, 20));
      for (const socket of connections) socket.destroy();
    },
  };
}

function answers(socket: Socket) {
  const send = (answer: HandshakeReply): void => {
    if (socket.writable) socket.write(encodeLine({ stackwarden: answer }));
  };
  return {
    send,
    refuse: (error: unknown): void => {
      send({ refused: transferError(toStackwardenError(error)) });
      socket.end();
      // Whoever does not close its half is not waited for.
      setTimeout(() => socket.destroy(), 1000).unref();
    },
  };
}

async function meet(socket: Socket, { key, status, receive, nextSession }: DaemonServerOptions): Promise<void> {
  const line = await firstLine(socket, HELLO_MS);
  if (line === null) {
    socket.destroy();
    return;
  }
  const { send, refuse } = answers(socket);
  let begin: () => Promise<void> | void;
  try {
    const hello = parseClientHello(line);
    if (!same(hello.key, key))
      throw new StackwardenError("UNAUTHORIZED", "The key is not this server's.", {
        hint: "Connect again; the key is in server.json of the state directory.",
      });
    const server = status();
    const session = nextSession();
    begin = await receive({ hello, session, socket });
    send({ welcome: { protocol: PROTOCOL, session, server } });
  } catch (error) {
    refuse(error);
    return;
  }
  await begin();
}

function same(given: string, key: string): boolean {
  const [one, other] = [Buffer.from(given), Buffer.from(key)];
  return one.length === other.length && timingSafeEqual(one, other);
}
