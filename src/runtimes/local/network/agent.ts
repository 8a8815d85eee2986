/**
 * A process inside a stack's network namespace. It connects to services for the server, which takes over the connected
 * sockets, and listens on additional addresses. It exits when the server's end of its channel closes.
 */
import { connect, type Socket } from "node:net";
import { LOOPBACK } from "../addresses/address-rewrite.js";
import { type Forward, forward } from "./forward.js";

/** Requests of the server. */
export type AgentRequest =
  | { id: number; connect: number }
  | { id: number; forward: { host: string; port: number; to: number } }
  | { id: number; close: number };

/** Answers. `connected` comes with the socket. */
export type AgentAnswer =
  | { ready: true }
  | { id: number; connected: true }
  | { id: number; listens: boolean }
  | { id: number; closed: true }
  | { id: number; error: { code: string; message: string } };

export interface Channel {
  send(answer: AgentAnswer, socket?: Socket): void;
}

export class NetworkAgent {
  readonly #forwards = new Map<number, Forward>();

  constructor(private readonly channel: Channel) {}

  async serve(request: AgentRequest): Promise<void> {
    const { id } = request;
    if ("connect" in request) return this.#connect(id, request.connect);
    if ("forward" in request) {
      const { host, port, to } = request.forward;
      const one = await forward(host, port, () => to);
      if (one !== null) this.#forwards.set(id, one);
      this.channel.send({ id, listens: one !== null });
      return;
    }
    await this.#forwards.get(request.close)?.close();
    this.#forwards.delete(request.close);
    this.channel.send({ id, closed: true });
  }

  #connect(id: number, port: number): void {
    const socket = connect({ host: LOOPBACK, port, allowHalfOpen: true });
    // What arrives before the server has the socket would be lost with this process's copy of it.
    socket.pause();
    socket.once("error", ({ code = "", message }: NodeJS.ErrnoException) =>
      this.channel.send({ id, error: { code, message } }),
    );
    socket.once("connect", () => this.channel.send({ id, connected: true }, socket));
  }
}
