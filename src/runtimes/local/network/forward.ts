/** Forwards TCP connections between ports of this machine. */
import { connect, createServer, type Server, type Socket } from "node:net";
import { LOOPBACK } from "../addresses/address-rewrite.js";

/** Pipes two connections into each other until both have ended; an error of one ends both. */
export function join(client: Socket, upstream: Socket, sockets: Set<Socket>): void {
  for (const [one, other] of [
    [client, upstream],
    [upstream, client],
  ] as const) {
    sockets.add(one);
    one.setNoDelay(true);
    one.pipe(other);
    one.once("error", () => other.destroy());
    one.once("close", () => {
      sockets.delete(one);
      other.destroySoon();
    });
  }
}

/** A server whose connections go to a port of 127.0.0.1; without a port they are closed. */
function forwarder(port: () => number | undefined, sockets: Set<Socket>): Server {
  return createServer({ allowHalfOpen: true }, (client) => {
    const to = port();
    if (to === undefined) return void client.destroy();
    join(client, connect({ host: LOOPBACK, port: to, allowHalfOpen: true }), sockets);
  });
}

export interface Forward {
  close(): Promise<void>;
}

/** Listens on an address and forwards to a port of 127.0.0.1; null when the address is taken. */
export function forward(host: string, from: number, to: () => number | undefined): Promise<Forward | null> {
  const sockets = new Set<Socket>();
  const server = forwarder(to, sockets);
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve());
      for (const socket of sockets) socket.destroy();
    });
  return new Promise((resolve) => {
    server.once("error", () => resolve(null));
    server.listen({ host, port: from }, () => {
      server.removeAllListeners("error");
      // An error of a single accepted connection must not end the process.
      server.on("error", () => undefined);
      resolve({ close });
    });
  });
}
