/** TCP check: a process accepts the connection. */
import type { Check } from "./bounded.js";
import { type Dial, dialLoopback } from "./dial.js";

export const tcpCheck =
  (port: number, dial: Dial = dialLoopback): Check =>
  async (signal) => {
    (await dial(port, signal)).destroy();
    return "connection accepted";
  };
