/** Connects a check to a port of its service: on the loopback interface, or in a way that the runtime provides. */
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
      // The caller may attach its listeners later; an error before that must be handled.
      socket.on("error", () => {});
      resolve(socket);
    });
  });
