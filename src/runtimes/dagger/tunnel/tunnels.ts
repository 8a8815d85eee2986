/** Published ports through Dagger's own tunnels: one for each running instance, on the same ports every time. */
import { setTimeout as delay } from "node:timers/promises";
import type { StackDefinition } from "../../../stack/definition/types.js";
import type { Endpoint, RuntimeNotice } from "../../../stack/runtime.js";
import { PortLedger } from "../../shared/port-ledger.js";
import {
  type Published,
  type PublishedInstance,
  type PublishedPorts,
  publishedRequests,
} from "../stack/published-ports.js";
import type { OpenTunnel } from "./types.js";

/** The listener of a stopped tunnel closes shortly afterwards. */
const HOLD_AGAIN_MS = 5000;
const POLL_MS = 25;

export interface TunnelsOptions {
  project: string;
  openTunnel: OpenTunnel;
  notice(notice: RuntimeNotice): void;
  /** Writes to the server's log. */
  warn(message: string): void;
}

class Tunnels implements PublishedPorts {
  // While no tunnel listens on a port, a socket of the server holds it and closes connections.
  readonly #ledger: PortLedger;
  #closed = false;

  constructor(private readonly options: TunnelsOptions) {
    this.#ledger = new PortLedger(publishedRequests, { host: "0.0.0.0", project: options.project });
  }

  reserve(definition: StackDefinition): Promise<void> {
    return this.#ledger.apply(definition);
  }

  endpoints(): Endpoint[] {
    return this.#ledger.endpoints();
  }

  hostPort(service: string, containerPort: number): number | undefined {
    return this.#ledger.hostPort(service, containerPort);
  }

  async secure(service: string): Promise<void> {
    for (const { from, to } of await this.#ledger.secure(service)) {
      const message = `Port ${from} was taken by another process; ${service} now uses ${to}.`;
      this.options.notice({ type: "port_reassigned", service, message });
    }
  }

  /** Does nothing: a tunnel needs a running instance. */
  async start(): Promise<void> {}

  async open({ service, id, exited, signal }: PublishedInstance): Promise<Published> {
    const ports = this.endpoints()
      .filter((endpoint) => endpoint.service === service)
      .map(({ host_port, container_port }) => ({ frontend: host_port, backend: container_port }));
    if (ports.length === 0) return { notes: [], closed: exited };
    await this.#ledger.release(service);
    const tunnel = await this.options.openTunnel({ service, id, ports }, signal).catch(async (error: unknown) => {
      await this.#holdAgain(service);
      throw error;
    });
    const closed = exited.then(async () => {
      await tunnel.stop();
      await this.#holdAgain(service);
    });
    const named = ports.map(({ frontend }) => frontend).join(", ");
    const note = `Open to the network: port${ports.length > 1 ? "s" : ""} ${named} of every address of this machine, by Dagger's own tunnel (dagger_tunnel in the server's configuration).`;
    this.options.notice({ type: "warning", service, message: note });
    this.options.warn(`${this.options.project}/${service}: ${note}`);
    return { notes: [note], closed };
  }

  async #holdAgain(service: string): Promise<void> {
    for (const end = Date.now() + HOLD_AGAIN_MS; !this.#closed; await delay(POLL_MS, undefined, { ref: false })) {
      await this.#ledger.rehold(service);
      if (this.#ledger.holds(service) || Date.now() > end) return;
    }
  }

  /** Called after the end of the session, which has ended every instance and tunnel. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#ledger.close();
  }
}

export const openTunnels = (options: TunnelsOptions): PublishedPorts => new Tunnels(options);
