/** Limits on connections, so that clients without a token neither use all of them up nor fill the server's memory. */
import type { IncomingMessage, RequestListener, Server } from "node:http";
import { isIPv6, type Socket } from "node:net";

/** Requests of one connection at the same time. Clients wait for a response before their next request. */
const MAX_PIPELINED = 8;

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

/**
 * Prevents one source without a token from using up the limit of connections: beyond `most` of its connections on which
 * no request was authenticated, the oldest one is closed. Connections over a socket file have no address: they belong to
 * the server's user.
 */
export function limitAnonymous(server: Server, most: number): void {
  const sources = new Map<string, Map<string, Socket>>();
  const forget = ({ remoteAddress, remotePort }: Socket): void => {
    const source = sourceOf(`${remoteAddress}`);
    const waiting = sources.get(source);
    waiting?.delete(`${remoteAddress} ${remotePort}`);
    if (waiting?.size === 0) sources.delete(source);
  };
  const releaseBy = (socket: Socket): void => void release.set(socket, () => forget(socket));
  server.on("connection", (socket: Socket) => {
    const { remoteAddress, remotePort } = socket;
    if (remoteAddress === undefined) return;
    const source = sourceOf(remoteAddress);
    const waiting = sources.get(source) ?? new Map<string, Socket>();
    sources.set(source, waiting.set(`${remoteAddress} ${remotePort}`, socket));
    releaseBy(socket);
    // A closed socket has no address any more.
    const same = { remoteAddress, remotePort } as Socket;
    socket.once("close", () => forget(same));
    const [oldest] = waiting.values();
    if (waiting.size > most) oldest?.destroy();
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
