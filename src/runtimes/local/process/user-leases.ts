/**
 * Counts the running instances and commands of each user. After the last one has ended, all processes of the user are
 * ended.
 */
import { KeyedMutex } from "../../../system/keyed-mutex.js";
import { endUser } from "./end-user.js";
import type { Inside } from "./launch.js";
import { namespaceEnded } from "./namespace-end.js";

interface Leases {
  count: number;
  /** The user's processes must be searched for after the last instance or command. */
  search: boolean;
}

export class UserLeases {
  readonly #leases = new Map<number, Leases>();
  /** A start waits until all processes of its user have ended. */
  readonly #serial = new KeyedMutex();

  constructor(private readonly warn: (message: string) => void) {}

  take(uid: number): Promise<void> {
    return this.#serial.run([String(uid)], async () => {
      const { count, search } = this.#leases.get(uid) ?? { count: 0, search: false };
      this.#leases.set(uid, { count: count + 1, search });
    });
  }

  /** The end of an instance or command without namespaces. */
  release(uid: number): Promise<void> {
    return this.#release(uid, async () => true);
  }

  /** The end of an instance or command in its own namespaces, which none of its processes could leave. */
  releaseInside(uid: number, inside: Inside): Promise<void> {
    return this.#release(uid, async () => !(await namespaceEnded(inside)));
  }

  #release(uid: number, mustSearch: () => Promise<boolean>): Promise<void> {
    return this.#serial.run([String(uid)], async () => {
      const leases = this.#leases.get(uid) ?? { count: 1, search: true };
      const count = leases.count - 1;
      const search = (await mustSearch()) || leases.search;
      if (count > 0) {
        this.#leases.set(uid, { count, search });
        return;
      }
      this.#leases.delete(uid);
      if (search && !(await endUser(uid))) this.warn(`Processes of the service user ${uid} could not be ended.`);
    });
  }
}
