/** One held port: a socket and a claim among the stackwarden servers of this machine. */
import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { createServer, type Server, type Socket } from "node:net";
import type { Endpoint } from "../../stack/runtime.js";
import { readKernelFile } from "../../system/kernel-file.js";
import { claimPort, type PortClaim } from "./port-claim.js";
import type { NamedOwner } from "./port-owner.js";

export interface Holding {
  /** Handles a connection to a held port. Default: closes it. */
  serve?: (socket: Socket, port: number) => void;
  /** `0.0.0.0` means every address of this machine, including IPv6. Default: loopback only. */
  host?: Endpoint["host"];
  /**
   * The container engine listens on fixed ports that this process may not listen on (below 1024): they are claimed and
   * not held. Default: such a port is an error.
   */
  engineListens?: boolean;
  /** The container that publishes a port, where the runtime's engine knows it. Never rejects. */
  containerOn?: (port: number, protocol: Protocol) => Promise<NamedOwner | null>;
  /** The stack of these ports, for the error of another stack that requests one of them. */
  project?: string;
  /** Called for a connection that is closed because the server has `limit` of them. */
  refused?: (port: number, limit: number) => void;
}

/**
 * Connections to held ports of all stacks. A forwarded one has two descriptors: at most half of those of the server.
 */
const MOST_CONNECTIONS = 4096;
let connectionCount = 0;
let maxConnections: number | undefined;

/** Every user of the machine can connect to published ports: the server keeps descriptors for its other work. */
function connectionLimit(): number {
  maxConnections ??= Math.min(
    MOST_CONNECTIONS,
    Math.floor(Number(/^Max open files\s+(\d+)/m.exec(readKernelFile("/proc/self/limits") ?? "")?.[1] ?? Infinity) / 4),
  );
  return maxConnections;
}

/** Open connections of each listener, which closes only after all of them. */
const connections = new WeakMap<Holder, Set<Socket>>();

export type Protocol = "tcp" | "udp";

/** A listening socket, or a bound one for UDP, which discards what it receives. */
export type Holder = Server | UdpSocket;

/** Listens on a port (0: any free one). Rejects with the system's error. */
export const hold = (port: number, holding: Holding = {}, protocol: Protocol = "tcp"): Promise<Holder> =>
  protocol === "udp" ? holdUdp(port, holding) : holdTcp(port, holding);

function holdUdp(port: number, { host = "127.0.0.1" }: Holding): Promise<UdpSocket> {
  return new Promise((resolve, reject) => {
    const socket = createSocket("udp4");
    socket.once("error", reject);
    socket.bind({ address: host, port, exclusive: true }, () => {
      socket.off("error", reject);
      socket.on("error", () => {});
      socket.unref();
      resolve(socket);
    });
  });
}

function holdTcp(port: number, { serve, refused, host = "127.0.0.1" }: Holding): Promise<Server> {
  return new Promise((resolve, reject) => {
    const open = new Set<Socket>();
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      if (serve === undefined) return void socket.destroy();
      const limit = connectionLimit();
      if (connectionCount >= limit) {
        socket.destroy();
        return refused?.(boundPort(server), limit);
      }
      open.add(socket);
      connectionCount += 1;
      socket.once("close", () => {
        open.delete(socket);
        connectionCount -= 1;
      });
      serve(socket, boundPort(server));
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

export const close = (holder: Holder): Promise<void> =>
  new Promise((resolve) => {
    holder.close(() => resolve());
    for (const socket of connections.get(holder) ?? []) socket.destroy();
  });

export const boundPort = (holder: Holder): number => {
  const address = holder.address();
  return typeof address === "object" && address !== null ? address.port : 0;
};

export interface Held {
  /** Null: another program than this server will listen on it. */
  holder: Holder | null;
  claim: PortClaim;
}

export const isLeftToEngine = (error: unknown, { engineListens }: Holding): boolean =>
  engineListens === true && (error as NodeJS.ErrnoException).code === "EACCES";

/**
 * Holds a port with a claim and a listening socket. Null when another process has the port. Rejects with the system's
 * error.
 */
export async function holdClaimed(port: number, holding: Holding, protocol?: Protocol): Promise<Held | null> {
  const claim = await claimPort(port, protocol);
  if (claim === null) return null;
  try {
    return { claim, holder: await hold(port, holding, protocol) };
  } catch (error) {
    if (isLeftToEngine(error, holding)) return { claim, holder: null };
    await claim.release();
    if ((error as NodeJS.ErrnoException).code === "EADDRINUSE") return null;
    throw error;
  }
}

export async function holdAny(holding: Holding, protocol?: Protocol): Promise<Held & { holder: Holder }> {
  for (;;) {
    const holder = await hold(0, holding, protocol);
    const claim = await claimPort(boundPort(holder), protocol);
    if (claim !== null) return { claim, holder };
    await close(holder);
  }
}
