/** The ports of a stack: those on which its services listen, and those at which the machine reaches them. */

import type { StackDefinition } from "../../../stack/definition/types.js";
import type { Endpoint } from "../../../stack/runtime.js";
import { timeoutSignal } from "../../../system/wait.js";
import { type BusyPort, PortLedger, type Reassigned } from "../../shared/port-ledger.js";
import { refusedConnections } from "../../shared/refused-connections.js";
import { LOOPBACK, publishedPlaceholders } from "../addresses/address-rewrite.js";
import { portRequests } from "../ports/port-requests.js";
import { type Forward, join } from "./forward.js";
import type { Loopback } from "./loopback.js";

/** What a stack needs of its ports; a `PortLedger` is the form for a network that is shared with the machine. */
export interface StackPorts {
  apply(definition: StackDefinition): Promise<void>;
  services(): string[];
  /** Container ports of a service, published first. */
  ports(service: string): number[];
  /** The port on which a service listens for a container port. */
  hostPort(service: string, containerPort: number): number | undefined;
  /** The port of the machine that leads to a container port, where it differs from `hostPort`. */
  publishedPort?(service: string, containerPort: number): number | undefined;
  endpoints(): Endpoint[];
  secure(service: string): Promise<Reassigned[]>;
  release(service: string): Promise<void>;
  rehold(service: string): Promise<void>;
  taken(service: string): Promise<BusyPort[]>;
  close(): Promise<void>;
}

/** Ports that are tried where another service of the stack has the container port. */
const SEARCH_FROM = 20_000;
const LAST = 32_000;
/** How long a connection to a service may take. */
const CONNECT_MS = 10_000;
/**
 * Ports of services with their own network: each listens on its container port, unless another service of the stack has
 * the same one. The server listens on the published ports of the machine and forwards to them.
 */
export class NamespacePorts implements StackPorts {
  readonly #published: PortLedger;
  readonly #inside = new Map<string, Map<number, number>>();
  /** Published ports that services use as `{published:…}`, by the port: they lead to the same service inside. */
  readonly #mirrors = new Map<number, { to: number; forward: Forward }>();

  /** @param warn reports a warning about a service */
  constructor(
    project: string,
    private readonly loopback: Loopback,
    warn: (service: string, message: string) => void,
  ) {
    this.#published = new PortLedger((service) => portRequests(service).filter(({ published }) => published), {
      project,
      refused: refusedConnections((hostPort) => this.#published.ownerOf(hostPort)?.service, warn),
      serve: (socket, hostPort) => {
        const target = this.#behind(hostPort);
        if (target === undefined) return void socket.destroy();
        this.loopback.dial(target, timeoutSignal(CONNECT_MS)).then(
          (upstream) => {
            if (socket.destroyed) upstream.destroy();
            else join(socket, upstream as typeof socket, new Set());
          },
          () => socket.destroy(),
        );
      },
    });
  }

  #behind(hostPort: number): number | undefined {
    const endpoint = this.#published.endpoints().find(({ host_port }) => host_port === hostPort);
    return endpoint === undefined ? undefined : this.hostPort(endpoint.service, endpoint.container_port);
  }

  async apply(definition: StackDefinition): Promise<void> {
    const requests = Object.values(definition.services).flatMap(portRequests);
    await this.#published.apply(definition);
    const before = new Map([...this.#inside].map(([service, ports]) => [service, new Map(ports)]));
    const containerPorts = new Set(requests.map(({ containerPort }) => containerPort));
    const used = new Set<number>();
    this.#inside.clear();
    let next = SEARCH_FROM;
    const free = (): number => {
      while (used.has(next) || containerPorts.has(next)) next = next >= LAST ? 1024 : next + 1;
      return next;
    };
    // What a service has already is not given to another.
    for (const { service, containerPort } of requests) {
      const port = before.get(service)?.get(containerPort);
      if (port !== undefined) used.add(port);
    }
    for (const { service, containerPort } of requests) {
      const formerPort = before.get(service)?.get(containerPort);
      const port = formerPort ?? (containerPort !== 0 && !used.has(containerPort) ? containerPort : free());
      used.add(port);
      const ports = this.#inside.get(service) ?? new Map<number, number>();
      ports.set(containerPort, port);
      this.#inside.set(service, ports);
    }
    await this.#mirror(definition, used);
  }

  async #mirror(definition: StackDefinition, used: ReadonlySet<number>): Promise<void> {
    const mirrors = new Map<number, number>();
    for (const { service, port } of publishedPlaceholders(Object.values(definition.services))) {
      const [from, to] = [this.publishedPort(service, port), this.hostPort(service, port)];
      if (from !== undefined && to !== undefined && !used.has(from)) mirrors.set(from, to);
    }
    for (const [from, { to, forward }] of this.#mirrors) {
      if (mirrors.get(from) === to) continue;
      this.#mirrors.delete(from);
      await forward.close();
    }
    for (const [from, to] of mirrors) {
      if (this.#mirrors.has(from)) continue;
      const forward = await this.loopback.forward(LOOPBACK, from, () => to);
      if (forward !== null) this.#mirrors.set(from, { to, forward });
    }
  }

  services(): string[] {
    return [...this.#inside.keys()];
  }

  ports(service: string): number[] {
    return [...(this.#inside.get(service)?.keys() ?? [])];
  }

  hostPort(service: string, containerPort: number): number | undefined {
    return this.#inside.get(service)?.get(containerPort);
  }

  publishedPort(service: string, containerPort: number): number | undefined {
    return this.#published.hostPort(service, containerPort);
  }

  endpoints(): Endpoint[] {
    return this.#published.endpoints();
  }

  /** The server listens on every published port while the stack is open. */
  async secure(): Promise<Reassigned[]> {
    return [];
  }

  async release(): Promise<void> {}

  async rehold(): Promise<void> {}

  async taken(): Promise<BusyPort[]> {
    return [];
  }

  close(): Promise<void> {
    return this.#published.close();
  }
}
