/**
 * How health checks reach a port of a container: at its own address, through a published port, or by a look at its
 * sockets.
 */

import { connect } from "node:net";
import type { Duplex } from "node:stream";
import type { Check } from "../../shared/probes/bounded.js";
import { type Dial, dialLoopback } from "../../shared/probes/dial.js";

export interface Reach {
  /** Address of the container on a network that this machine is on; null when there is none. */
  address: string | null;
  /** Port of this machine's loopback interface that is forwarded to a container port. */
  hostPort(containerPort: number): number | undefined;
  /** Reads a file inside the container. */
  read(path: string, signal: AbortSignal): Promise<string>;
}

const dialAddress =
  (host: string): Dial =>
  (port, signal) =>
    new Promise<Duplex>((resolve, reject) => {
      const socket = connect({ host, port, signal });
      socket.once("error", reject);
      socket.once("connect", () => {
        socket.off("error", reject);
        // An error before the check attaches its own listener must not crash the server.
        socket.on("error", () => {});
        resolve(socket);
      });
    });

const LISTEN = "0A";

/** Listening ports in the kernel's table of one address family. */
export function listeningPorts(table: string): number[] {
  return table.split("\n").flatMap((line) => {
    const [, local = "", , state] = line.trim().split(/\s+/);
    const port = Number.parseInt(local.slice(local.lastIndexOf(":") + 1), 16);
    return state === LISTEN && Number.isInteger(port) ? [port] : [];
  });
}

/** Throws ECONNREFUSED when no socket listens. */
async function requireListener({ read }: Reach, port: number, signal: AbortSignal): Promise<void> {
  const tables = await Promise.allSettled(["/proc/net/tcp", "/proc/net/tcp6"].map((path) => read(path, signal)));
  const readable = tables.flatMap((table) => (table.status === "fulfilled" ? [table.value] : []));
  if (readable.length === 0) throw new Error("the check cannot look into the container: its image has no cat");
  if (readable.some((table) => listeningPorts(table).includes(port))) return;
  throw Object.assign(new Error("nothing listens there"), { code: "ECONNREFUSED" });
}

/**
 * A published port accepts connections whether or not the service listens, so the container's sockets are checked
 * first.
 */
export function dialOf(reach: Reach): Dial {
  const { address } = reach;
  if (address !== null) return dialAddress(address);
  return async (port, signal) => {
    const hostPort = reach.hostPort(port);
    await requireListener(reach, port, signal);
    if (hostPort === undefined)
      throw new Error(
        `port ${port} of the container cannot be reached from here: publish it, or use a check of kind CMD`,
      );
    return dialLoopback(hostPort, signal);
  };
}

/** For a TCP check when this machine cannot connect to the container. */
export const listenCheck =
  (reach: Reach, port: number): Check =>
  async (signal) => {
    await requireListener(reach, port, signal);
    return "a process listens there (seen inside the container)";
  };
