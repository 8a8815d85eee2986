/** The socket server of the background server: accepts, authenticates and bounds connections. */
import { timingSafeEqual } from "node:crypto";
import { rm } from "node:fs/promises";
import { createServer, type Socket } from "node:net";
import { StackwardenError, toStackwardenError, transferError } from "../errors.js";
import type { Logger } from "../logger.js";
import { listenPrivately } from "../system/private-socket.js";
import {
  type ClientHello,
  type DashboardLink,
  encodeLine,
  firstLine,
  type HandshakeReply,
  PROTOCOL,
  parseClientHello,
  type ServerStatus,
} from "./handshake.js";

/** Long enough for a laptop that resumes from sleep. */
const HELLO_MS = 10_000;
/** Bounds the memory of connections; far above the number of a user's agents. */
const MAX_CONNECTIONS = 256;
/** Pending output of a client that does not read; beyond it the connection is closed. */
const MAX_UNREAD_BYTES = 64 * 1_048_576;
const UNREAD_CHECK_MS = 2_000;

export interface IncomingConnection {
  hello: ClientHello;
  /** Names the session in events. */
  session: string;
  socket: Socket;
}

export interface AcceptedConnection {
  /** Added to the server's handshake line. */
  dashboard?: DashboardLink;
  /** Runs after the server's handshake line is written. */
  run(): Promise<void> | void;
}

export interface DaemonServerOptions {
  socket: string;
  key: string;
  logger: Logger;
  status(): ServerStatus;
  /**
   * Prepares a session.
   * @throws StackwardenError the rejection sent to the client
   */
  receive(visit: IncomingConnection): Promise<AcceptedConnection>;
  /** Creates the next session name. */
  nextSession(): string;
  maxConnections?: number;
}

export interface DaemonServer {
  /** Stops accepting connections and removes the socket. */
  shut(): Promise<void>;
  /** Ends every connection, first gracefully, then by destroying it. */
  disconnect(withinMs: number): Promise<void>;
}

/** Listens. Replaces the socket of a killed server: the caller holds the lock, so no other process listens. */
export async function openDaemonServer(options: DaemonServerOptions): Promise<DaemonServer> {
  const { logger, maxConnections = MAX_CONNECTIONS } = options;
  const connections = new Set<Socket>();
  // A client can close its writing side and still wait for results.
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", (error) => logger.debug(`connection: ${error.message}`));
    connections.add(socket);
    socket.once("close", () => connections.delete(socket));
    if (connections.size > maxConnections) {
      const { refuse } = answers(socket);
      refuse(
        new StackwardenError(
          "TOO_MANY_REQUESTS",
          `The background server has reached its limit of ${maxConnections} connections.`,
        ),
      );
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
      logger.warn("Closing a connection whose client has not read 64 MiB of pending output.");
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
      // Do not wait for a client that keeps its writing side open.
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
  let accepted: AcceptedConnection;
  try {
    const hello = parseClientHello(line);
    if (!same(hello.key, key))
      throw new StackwardenError("UNAUTHORIZED", "Invalid key.", {
        hint: "Connect again; the key is in server.json of the state directory.",
      });
    const server = status();
    const session = nextSession();
    accepted = await receive({ hello, session, socket });
    const { dashboard } = accepted;
    send({ welcome: { protocol: PROTOCOL, session, server, ...(dashboard === undefined ? {} : { dashboard }) } });
  } catch (error) {
    refuse(error);
    return;
  }
  await accepted.run();
}

function same(token: string, key: string): boolean {
  const [one, other] = [Buffer.from(token), Buffer.from(key)];
  return one.length === other.length && timingSafeEqual(one, other);
}
