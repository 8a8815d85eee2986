/**
 * Addresses of databases on loopback that belong to one stack (127.64.0.0/10, one /24 for each stack). Where a database
 * listens on another host port than its container port, its address accepts the container port and forwards to the host
 * port. A program with a fixed port then reaches the database of its own stack, not that of another stack on 127.0.0.1.
 */
import { createHash } from "node:crypto";
import { Mutex } from "../../../system/mutex.js";
import { claimName, type PortClaim } from "../../shared/port-claim.js";
import type { Forward } from "../network/forward.js";
import { type Loopback, MACHINE_LOOPBACK } from "../network/loopback.js";

/** Number of networks that are tried before a stack goes without addresses. */
const TRIES = 16;
const FIRST_HOST = 2;
const LAST_HOST = 254;

/** The port that a service has in its container, and the one on which it listens. */
export interface MovedPort {
  service: string;
  containerPort: number;
}

export class ServiceAddresses {
  readonly #hosts = new Map<string, number>();
  /** Forwards by service and container port, with the port that each leads to. */
  readonly #forwards = new Map<string, { forward: Forward; to: number | undefined }>();
  #network: { prefix: string; claim: PortClaim } | null | undefined;
  /** Services start in parallel. */
  readonly #providing = new Mutex();
  #closed = false;

  /**
   * @param stack identifies the stack on this machine
   * @param hostPort the port on which a service listens now
   */
  constructor(
    private readonly stack: string,
    private readonly hostPort: (service: string, containerPort: number) => number | undefined,
    private readonly loopback: Loopback = MACHINE_LOOPBACK,
  ) {}

  /** The address that accepts the container port; undefined when there is none. */
  of(service: string, containerPort: number): string | undefined {
    return this.#forwards.has(`${service}:${containerPort}`) ? this.#address(service) : undefined;
  }

  /** Makes addresses for ports that moved. A port that cannot be listened on goes without an address. */
  provide(ports: readonly MovedPort[]): Promise<void> {
    if (process.platform !== "linux") return Promise.resolve();
    return this.#providing.run(() => this.#provide(ports));
  }

  async #provide(ports: readonly MovedPort[]): Promise<void> {
    for (const { service, containerPort } of ports) {
      const key = `${service}:${containerPort}`;
      if (this.#closed) continue;
      const to = this.hostPort(service, containerPort);
      const present = this.#forwards.get(key);
      if (present?.to === to && present !== undefined) continue;
      // The service got another port, and its former one may belong to another service now.
      this.#forwards.delete(key);
      await present?.forward.close();
      this.#network ??= await this.#claim();
      const address = this.#address(service);
      if (address === undefined) continue;
      const one = await this.loopback.forward(address, containerPort, () => this.hostPort(service, containerPort));
      if (one === null) continue;
      if (this.#closed) await one.close();
      else this.#forwards.set(key, { forward: one, to });
    }
  }

  close(): Promise<void> {
    this.#closed = true;
    return this.#providing.run(() => this.#close());
  }

  async #close(): Promise<void> {
    const closing = [...this.#forwards.values()].map(({ forward }) => forward.close());
    this.#forwards.clear();
    await Promise.all(closing);
    await this.#network?.claim.release();
  }

  #address(service: string): string | undefined {
    if (this.#network === null || this.#network === undefined) return undefined;
    const host = this.#hosts.get(service) ?? FIRST_HOST + this.#hosts.size;
    if (host > LAST_HOST) return undefined;
    this.#hosts.set(service, host);
    return `${this.#network.prefix}.${host}`;
  }

  /** The network is the same at every start of the stack, unless another stack has it. */
  async #claim(): Promise<{ prefix: string; claim: PortClaim } | null> {
    const [one = 0, two = 0] = createHash("sha256").update(this.stack).digest();
    for (let attempt = 0; attempt < TRIES; attempt += 1) {
      const prefix = `127.${64 + (one % 64)}.${(two + attempt) % 256}`;
      const claim = await claimName(`stackwarden-loopback-${prefix}`);
      if (claim !== null) return { prefix, claim };
    }
    return null;
  }
}
