/** One held port: a listening socket and, among the stackwarden servers of this machine, a claim. */
import { createServer, type Server, type Socket } from "node:net";
import type { Endpoint } from "../../stack/runtime.js";
import { claimPort, type PortClaim } from "./port-claim.js";

export interface Holding {
  /** What becomes of a connection to a held port. The default cuts it off. */
  serve?: (socket: Socket, port: number) => void;
  /** `0.0.0.0` stands for every address of this machine, those of IPv6 included. Default: loopback only. */
  host?: Endpoint["host"];
  /** Whose ports these are, for the error of another stack that asks for one of them. */
  project?: string;
}

/** Connections of each listener: it is closed only when they are. */
const connections = new WeakMap<Server, Set<Socket>>();

/** Listens on a port (0: any). Rejects with the system's error. */
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
    // Without a host: all of them, of both families where there are two.
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

/** Holds a port by a claim and a listening socket. Null when another process has the port. Rejects with the system's error. */
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
