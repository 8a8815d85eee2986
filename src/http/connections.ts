/** Limits on connections, so that clients without a token cannot use up all connections or fill the server's memory. */
import type { IncomingMessage, RequestListener, Server } from "node:http";
import { isIPv6, type Socket } from "node:net";

/** Requests of one connection at the same time. Clients wait for a response before their next request. */
const MAX_PIPELINED = 8;

/**
 * Milliseconds for the first request of a connection, while its source has at most BURST times its limit. On a busy
 * machine, clients that connect at the same time need several hundred.
 */
const GRACE_MS = 1000;
const BURST = 3;

const release = new WeakMap<Socket, () => void>();

/** Called when a request carries a valid token: its connection no longer counts as one without. */
export const markAuthenticated = (socket: Socket): void => release.get(socket)?.();

/** Addresses that one client can choose freely are one source: all of 127.0.0.0/8, and the last 64 bits of IPv6. */
export function sourceOf(address: string): string {
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, "");
  if (plain.startsWith("127.") || plain === "::1") return "loopback";
  if (!isIPv6(plain)) return plain;
  // Zeros that the address leaves out come after its first groups.
  const [head = ""] = plain.split("::");
  return [...head.split(":"), "0", "0", "0"].slice(0, 4).join(":");
}

interface Waiting {
  socket: Socket;
  /** Milliseconds, of a clock that only advances. */
  since: number;
}

/**
 * Prevents one source without a token from using up the limit of connections: beyond `most` of its connections on which
 * no request was authenticated, the oldest ones are closed. Connections over a socket file have no address: they belong
 * to the server's user.
 */
export function limitAnonymous(server: Server, most: number): void {
  const sources = new Map<string, Map<string, Waiting>>();
  const scheduled = new Set<string>();
  const forget = ({ remoteAddress, remotePort }: Socket): void => {
    const source = sourceOf(`${remoteAddress}`);
    const waiting = sources.get(source);
    waiting?.delete(`${remoteAddress} ${remotePort}`);
    if (waiting?.size === 0) sources.delete(source);
  };
  const trim = (source: string): void => {
    const waiting = sources.get(source);
    if (waiting === undefined) return;
    const now = performance.now();
    for (const [key, { socket, since }] of waiting) {
      // Clients that connect at the same time have not been read yet.
      const isNew = now - since < GRACE_MS && waiting.size <= BURST * most;
      if (waiting.size <= most || isNew) break;
      waiting.delete(key);
      socket.destroy();
    }
    if (waiting.size <= most || scheduled.has(source)) return;
    scheduled.add(source);
    setTimeout(() => {
      scheduled.delete(source);
      trim(source);
    }, GRACE_MS).unref();
  };
  const releaseBy = (socket: Socket): void => void release.set(socket, () => forget(socket));
  server.on("connection", (socket: Socket) => {
    const { remoteAddress, remotePort } = socket;
    if (remoteAddress === undefined) return;
    const source = sourceOf(remoteAddress);
    const waiting = sources.get(source) ?? new Map<string, Waiting>();
    sources.set(source, waiting.set(`${remoteAddress} ${remotePort}`, { socket, since: performance.now() }));
    releaseBy(socket);
    // A closed socket has no address any more.
    const same = { remoteAddress, remotePort } as Socket;
    socket.once("close", () => forget(same));
    trim(source);
  });
  server.on("secureConnection", releaseBy);
}

/**
 * Closes a connection that sends further requests before the responses to its former ones: Node begins every request
 * that it receives at once, and each holds its response in memory.
 */
export function limitPipelining(handler: RequestListener): RequestListener {
  const inProgress = new WeakMap<Socket, number>();
  return (request: IncomingMessage, response) => {
    const { socket } = request;
    // What the connection had sent before it was closed.
    if (socket.destroyed) return;
    const count = (inProgress.get(socket) ?? 0) + 1;
    if (count > MAX_PIPELINED) {
      socket.destroy();
      return;
    }
    inProgress.set(socket, count);
    response.once("close", () => inProgress.set(socket, (inProgress.get(socket) ?? 1) - 1));
    handler(request, response);
  };
}
