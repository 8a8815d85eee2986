/** How a check reaches a port of its service: on the loopback interface, or through whatever the runtime has instead. */
import { connect } from "node:net";
import type { Duplex } from "node:stream";

/** @returns an open connection; rejects with the reason, or when the signal aborts */
export type Dial = (port: number, signal: AbortSignal) => Promise<Duplex>;

export const dialLoopback: Dial = (port, signal) =>
  new Promise((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port, signal });
    socket.once("error", reject);
    socket.once("connect", () => {
      socket.off("error", reject);
      // The user of the socket can attach its listeners later; an error until then must be handled.
      socket.on("error", () => {});
      resolve(socket);
    });
  });
