/** TCP check: somebody accepts the connection. */
import { connect } from "node:net";
import type { Check } from "./bounded.js";

export const tcpCheck =
  (port: number): Check =>
  (signal) =>
    new Promise((resolve, reject) => {
      const socket = connect({ host: "127.0.0.1", port, signal });
      socket.once("connect", () => {
        socket.destroy();
        resolve("connection accepted");
      });
      socket.once("error", reject);
    });
