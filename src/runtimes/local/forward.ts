/** Forwards TCP connections between ports of this machine. */
import { connect, createServer, type Server, type Socket } from "node:net";
import { LOOPBACK } from "./address-rewrite.js";

export interface Forward {
  server: Server;
  sockets: Set<Socket>;
}

/** A server whose connections go to a port of 127.0.0.1; without a port they are closed. */
export function forward(port: () => number | undefined): Forward {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (client) => {
    const hostPort = port();
    if (hostPort === undefined) return void client.destroy();
    const upstream = connect({ host: LOOPBACK, port: hostPort, allowHalfOpen: true });
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
  });
  return { server, sockets };
}

/** Listens; false when the address is taken. */
export const listening = (server: Server, host: string, port: number): Promise<boolean> =>
  new Promise((resolve) => {
    server.once("error", () => resolve(false));
    server.listen({ host, port }, () => {
      server.removeAllListeners("error");
      // An error of a single accepted connection must not end the process.
      server.on("error", () => undefined);
      resolve(true);
    });
  });
