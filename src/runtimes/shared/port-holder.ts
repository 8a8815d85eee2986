/** One held port: a listening socket and a claim among the stackwarden servers of this machine. */
import { createServer, type Server, type Socket } from "node:net";
import type { Endpoint } from "../../stack/runtime.js";
import { claimPort, type PortClaim } from "./port-claim.js";

export interface Holding {
  /** Handles a connection to a held port. Default: closes it. */
  serve?: (socket: Socket, port: number) => void;
  /** `0.0.0.0` means every address of this machine, including IPv6. Default: loopback only. */
  host?: Endpoint["host"];
  /** The stack of these ports, for the error of another stack that requests one of them. */
  project?: string;
}

/** Open connections of each listener, which closes only after all of them. */
const connections = new WeakMap<Server, Set<Socket>>();

/** Listens on a port (0: any free one). Rejects with the system's error. */
export function hold(port: number, { serve, host = "127.0.0.1" }: Holding = {}): Promise<Server> {
  return new Promise((resolve, reject) => {
    const open = new Set<Socket>();
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      open.add(socket);
      socket.once("close", () => open.delete(socket));
      if (serve === undefined) socket.destroy();
      else serve(socket, boundPort(server));
    });
    connections.set(server, open);
    server.once("error", reject);
    // Without a host, the socket listens on all addresses of both families.
    server.listen({ ...(host === "0.0.0.0" ? {} : { host }), port, exclusive: true }, () => {
      server.off("error", reject);
      server.on("error", () => {});
      server.unref();
      resolve(server);
    });
  });
}

export const close = (server: Server): Promise<void> =>
  new Promise((resolve) => {
    server.close(() => resolve());
    for (const socket of connections.get(server) as Set<Socket>) socket.destroy();
  });

export const boundPort = (server: Server): number => {
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
};

export interface Held {
  holder: Server;
  claim: PortClaim;
}

/**
 * Holds a port with a claim and a listening socket. Null when another process has the port. Rejects with the system's
 * error.
 */
export async function holdClaimed(port: number, holding: Holding): Promise<Held | null> {
  const claim = await claimPort(port);
  if (claim === null) return null;
  try {
    return { claim, holder: await hold(port, holding) };
  } catch (error) {
    await claim.release();
    if ((error as NodeJS.ErrnoException).code === "EADDRINUSE") return null;
    throw error;
  }
}

export async function holdAny(holding: Holding): Promise<Held> {
  for (;;) {
    const holder = await hold(0, holding);
    const claim = await claimPort(boundPort(holder));
    if (claim !== null) return { claim, holder };
    await close(holder);
  }
}
