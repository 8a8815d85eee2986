/**
 * Programs that have their container port in their code, whatever PORT says: once one listens there, its host port
 * forwards to it.
 */
import { LOOPBACK } from "../addresses/address-rewrite.js";
import type { Forward } from "../network/forward.js";
import type { Loopback } from "../network/loopback.js";

const INTERVAL_MS = 250;
/** How long a service is watched after its start, in milliseconds. */
const WATCHED_MS = 5 * 60_000;

export interface FixedPortsOptions {
  /** The service's user. */
  uid: number;
  /** Its ports whose host port is another one than the container port. */
  ports: readonly { containerPort: number; hostPort: number }[];
  loopback: Loopback;
  /** Called once for each port that is forwarded. */
  onForward(containerPort: number, hostPort: number): void;
}

export class FixedPorts {
  readonly #forwards = new Map<number, Forward>();
  /** Ports on which something listened before the service started. */
  readonly #taken: Set<number>;
  readonly #until = Date.now() + WATCHED_MS;
  #timer: NodeJS.Timeout | undefined;
  #ended = false;

  private constructor(
    private readonly options: FixedPortsOptions,
    taken: Iterable<number>,
  ) {
    this.#taken = new Set(taken);
    if (options.ports.length > 0) this.#again();
  }

  /** Call it before the service starts. */
  static async watch(options: FixedPortsOptions): Promise<FixedPorts> {
    const before = options.ports.length === 0 ? null : await options.loopback.listeners();
    // Without a table of sockets their owner is not known.
    return new FixedPorts(
      before === null ? { ...options, ports: [] } : options,
      (before ?? []).map(({ port }) => port),
    );
  }

  forwards(hostPort: number): boolean {
    return this.#forwards.has(hostPort);
  }

  #again(): void {
    if (this.#ended || Date.now() > this.#until || this.#forwards.size === this.options.ports.length) return;
    this.#timer = setTimeout(() => void this.#look().finally(() => this.#again()), INTERVAL_MS);
    this.#timer.unref();
  }

  async #look(): Promise<void> {
    const { loopback } = this.options;
    const sockets = (await loopback.recentListeners()) ?? [];
    for (const { containerPort, hostPort } of this.options.ports) {
      if (this.#forwards.has(hostPort) || sockets.some(({ port }) => port === hostPort)) continue;
      const isOwn = sockets.some(
        (one) => one.port === containerPort && one.answersLoopback && one.uid === this.options.uid,
      );
      if (!isOwn || this.#taken.has(containerPort)) continue;
      const one = await loopback.forward(LOOPBACK, hostPort, () => containerPort);
      if (one === null) continue;
      if (this.#ended) await one.close();
      else {
        this.#forwards.set(hostPort, one);
        this.options.onForward(containerPort, hostPort);
      }
    }
  }

  async end(): Promise<void> {
    this.#ended = true;
    clearTimeout(this.#timer);
    const closing = [...this.#forwards.values()].map((one) => one.close());
    this.#forwards.clear();
    await Promise.all(closing);
  }
}
