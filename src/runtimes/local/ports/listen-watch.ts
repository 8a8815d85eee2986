/**
 * Watches the listening sockets of one service during its life: the addresses it listens on, and the owners of its
 * ports.
 */

import { isRootServer } from "../../../system/root-server.js";
import type { Loopback } from "../network/loopback.js";
import { isServiceUid } from "../process/user-range.js";
import { instanceOfUser, type RunningInstance, runsElsewhere } from "../running-instances.js";
import { type Listener, loopbackConnections } from "./listeners.js";

const INTERVAL_MS = 5000;

export interface Listening {
  /** The service's own user. */
  uid: number;
  project: string;
  /** Its host ports. */
  ports(): number[];
  loopback: Loopback;
  /** Called once for each port on which the service's user listens on a non-loopback address. */
  onOpen(port: number): void;
  /** Called once for each port of 127.0.0.1 to which the service connected and that a service of another stack has. */
  onNeighbour(port: number, neighbour: Pick<RunningInstance, "project" | "service">): void;
}

/** Sockets of other users that receive connections to one of the ports on 127.0.0.1. */
const foreign = ({ uid, ports }: Listening, sockets: readonly Listener[]): Listener[] => {
  const own = new Set(ports());
  return sockets.filter((one) => own.has(one.port) && one.answersLoopback && one.uid !== null && one.uid !== uid);
};

export class ListenWatch {
  readonly #open = new Set<number>();
  readonly #neighbours = new Set<number>();
  #timer: NodeJS.Timeout | undefined;

  /** Without a separate user, the sockets of a service cannot be distinguished from others of the same user. */
  constructor(private readonly service: Listening) {
    if (!isRootServer() || service.uid === 0) return;
    this.#timer = setInterval(() => void this.look(), INTERVAL_MS);
    this.#timer.unref();
  }

  /** @param isRecent a table that was read a moment ago suffices */
  async look({ isRecent = true } = {}): Promise<void> {
    // The owner of the project's folder has other programs, too. What listens in a separate network is not reachable.
    if (!isServiceUid(this.service.uid) || !this.service.loopback.shared) return;
    const { loopback } = this.service;
    const sockets = (await (isRecent ? loopback.recentListeners() : loopback.listeners())) ?? [];
    this.#lookForNeighbours(sockets);
    for (const one of sockets) {
      if (this.#timer === undefined || one.uid !== this.service.uid || one.loopback || this.#open.has(one.port))
        continue;
      this.#open.add(one.port);
      this.service.onOpen(one.port);
    }
  }

  /** A program that has a database's port in its code reaches the database of another stack. */
  #lookForNeighbours(sockets: readonly Listener[]): void {
    const { uid, project } = this.service;
    // The table of connections takes milliseconds to read.
    if (!runsElsewhere(project)) return;
    const ports = new Set(loopbackConnections().flatMap((one) => (one.uid === uid ? [one.port] : [])));
    for (const port of ports) {
      if (this.#neighbours.has(port)) continue;
      const listener = sockets.find((one) => one.port === port && one.answersLoopback && one.uid !== uid);
      const instance = listener === undefined || listener.uid === null ? null : instanceOfUser(listener.uid);
      if (instance === null || instance.project === project || this.#timer === undefined) continue;
      this.#neighbours.add(port);
      this.service.onNeighbour(port, instance);
    }
  }

  /**
   * The reason why a check of the service reaches another program; null when there is no sign of that.
   * @param isRecent a table that was read a moment ago suffices; not before a password is sent
   */
  async stranger({ isRecent = false } = {}): Promise<string | null> {
    if (this.#timer === undefined) return null;
    const { loopback } = this.service;
    const [one] = foreign(this.service, (await (isRecent ? loopback.recentListeners() : loopback.listeners())) ?? []);
    return one === undefined
      ? null
      : `port ${one.port} belongs to another program (user ${one.uid}), not to this service (user ${this.service.uid})`;
  }

  end(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
