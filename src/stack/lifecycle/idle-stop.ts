/** The lease of a stack: it ends when no call has used the stack for the given time. */

export interface IdleStopHost {
  isOpen(): boolean;
  /** Stops the stack. `idleMs`: how long no call used it. */
  stop(idleMs: number): Promise<void>;
}

export class IdleStop {
  #idleMs: number | null = null;
  #users = 0;
  #lastUse = Date.now();
  #timer: NodeJS.Timeout | undefined;

  constructor(private readonly host: IdleStopHost) {}

  /** Milliseconds without a call; null: the stack runs until it is stopped. */
  get idleMs(): number | null {
    return this.#idleMs;
  }

  /** Epoch milliseconds at which the stack stops when no call comes; null without a lease or during a call. */
  get stopsAt(): number | null {
    return this.#idleMs === null || this.#users > 0 ? null : this.#lastUse + this.#idleMs;
  }

  set(idleMs: number | null): void {
    this.#idleMs = idleMs;
    this.#lastUse = Date.now();
    this.#arm();
  }

  /** Runs a call; the stack is in use until it has ended. */
  async during<T>(call: () => Promise<T>): Promise<T> {
    this.#users += 1;
    clearTimeout(this.#timer);
    try {
      return await call();
    } finally {
      this.#users -= 1;
      this.#lastUse = Date.now();
      this.#arm();
    }
  }

  close(): void {
    this.#idleMs = null;
    clearTimeout(this.#timer);
  }

  #arm(): void {
    clearTimeout(this.#timer);
    const { stopsAt } = this;
    if (stopsAt === null || !this.host.isOpen()) return;
    // Timers take at most 2^31 - 1 ms.
    const wait = Math.min(Math.max(0, stopsAt - Date.now()), 2 ** 31 - 1);
    this.#timer = setTimeout(() => this.#check(), wait);
    this.#timer.unref();
  }

  #check(): void {
    const { stopsAt } = this;
    if (stopsAt === null || !this.host.isOpen()) return;
    if (Date.now() < stopsAt) this.#arm();
    else void this.host.stop(Date.now() - this.#lastUse).catch(() => this.#arm());
  }
}
