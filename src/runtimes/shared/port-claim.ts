/**
 * Claims on ports among the stackwarden servers of one machine. Between the release of a port for its service and the
 * moment the service listens, the port looks free: another server's stack could take it, or two services could race for
 * it. A claim is a Unix socket with an abstract name. Like a port it belongs to the network namespace, and it ends with
 * its process. On platforms other than Linux there are no claims.
 */
import { createServer, type Server } from "node:net";

export interface PortClaim {
  release(): Promise<void>;
}

const NOTHING: PortClaim = { release: async () => undefined };

/** @returns null when another stack has claimed the port */
export const claimPort = (port: number, protocol: "tcp" | "udp" = "tcp"): Promise<PortClaim | null> =>
  claimName(`stackwarden-port-${port}${protocol === "udp" ? "-udp" : ""}`);

/** @returns null when another process of the machine has claimed the name */
export function claimName(name: string): Promise<PortClaim | null> {
  if (process.platform !== "linux") return Promise.resolve(NOTHING);
  return new Promise((resolve) => {
    const server: Server = createServer((socket) => socket.destroy());
    server.once("error", (error: NodeJS.ErrnoException) => resolve(error.code === "EADDRINUSE" ? null : NOTHING));
    server.listen(`\0${name}`, () => {
      server.unref();
      resolve({ release: () => new Promise((done) => server.close(() => done())) });
    });
  });
}
