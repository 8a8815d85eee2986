/** The loopback interface on which the services of a stack listen. */
import { type Dial, dialLoopback } from "../../shared/probes/dial.js";
import { type Listener, listeners, recentListeners } from "../ports/listeners.js";
import { type Forward, forward } from "./forward.js";

export interface Loopback {
  /** True when other stacks and programs of the machine listen on it too. */
  readonly shared: boolean;
  /** Connects to a port of 127.0.0.1. */
  readonly dial: Dial;
  /** Its listening sockets; null on platforms without a table of them. */
  listeners(): Promise<Listener[] | null>;
  /** As `listeners`, for callers that poll. */
  recentListeners(): Promise<Listener[] | null>;
  /**
   * Listens on an address and forwards to a port of 127.0.0.1, which may change while `shared` is true; null when the
   * address is taken.
   */
  forward(host: string, port: number, to: () => number | undefined): Promise<Forward | null>;
}

export const MACHINE_LOOPBACK: Loopback = {
  shared: true,
  dial: dialLoopback,
  listeners: () => listeners(),
  recentListeners,
  forward,
};
