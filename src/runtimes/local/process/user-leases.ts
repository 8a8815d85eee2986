/**
 * Counts the running instances and commands of each user. After the last one has ended, all processes of the user are
 * ended.
 */
import { KeyedMutex } from "../../../system/keyed-mutex.js";
import { endUser } from "./end-user.js";

export class UserLeases {
  readonly #counts = new Map<number, number>();
  /** A start waits until all processes of its user have ended. */
  readonly #serial = new KeyedMutex();

  constructor(private readonly warn: (message: string) => void) {}

  take(uid: number): Promise<void> {
    return this.#serial.run([String(uid)], async () => {
      this.#counts.set(uid, (this.#counts.get(uid) ?? 0) + 1);
    });
  }

  release(uid: number): Promise<void> {
    return this.#serial.run([String(uid)], async () => {
      const left = (this.#counts.get(uid) ?? 1) - 1;
      if (left > 0) {
        this.#counts.set(uid, left);
        return;
      }
      this.#counts.delete(uid);
      if (!(await endUser(uid))) this.warn(`Processes of the service user ${uid} could not be ended.`);
    });
  }
}
