/**
 * Watches the listening sockets of one service during its life: the addresses it listens on, and the owners of its
 * ports.
 */

import { isRootServer } from "./files/storage.js";
import { type Listener, listeners, recentListeners } from "./ports-listeners.js";
import { isServiceUid } from "./process/user-range.js";

const INTERVAL_MS = 5000;

export interface Listening {
  /** The service's own user. */
  uid: number;
  /** Its host ports. */
  ports(): number[];
  /** Called once for each port on which the service's user listens on a non-loopback address. */
  onOpen(port: number): void;
}

/** Sockets of other users that receive connections to one of the ports on 127.0.0.1. */
const foreign = ({ uid, ports }: Listening, sockets: readonly Listener[]): Listener[] => {
  const own = new Set(ports());
  return sockets.filter((one) => own.has(one.port) && one.answersLoopback && one.uid !== null && one.uid !== uid);
};

export class ListenWatch {
  readonly #open = new Set<number>();
  #timer: NodeJS.Timeout | undefined;

  /** Without a separate user, the sockets of a service cannot be distinguished from others of the same user. */
  constructor(private readonly service: Listening) {
    if (!isRootServer() || service.uid === 0) return;
    this.#timer = setInterval(() => void this.look(), INTERVAL_MS);
    this.#timer.unref();
  }

  async look(): Promise<void> {
    // The owner of the project's folder has other programs, too.
    if (!isServiceUid(this.service.uid)) return;
    for (const one of (await recentListeners()) ?? []) {
      if (this.#timer === undefined || one.uid !== this.service.uid || one.loopback || this.#open.has(one.port))
        continue;
      this.#open.add(one.port);
      this.service.onOpen(one.port);
    }
  }

  /**
   * The reason why a check of the service reaches another program; null when there is no sign of that.
   * @param look before a password is sent, the sockets as they are now; otherwise those of a moment ago do
   */
  async stranger(look = listeners): Promise<string | null> {
    if (this.#timer === undefined) return null;
    const [one] = foreign(this.service, (await look()) ?? []);
    return one === undefined
      ? null
      : `port ${one.port} belongs to another program (user ${one.uid}), not to this service (user ${this.service.uid})`;
  }

  end(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
