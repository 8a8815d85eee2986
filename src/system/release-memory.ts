/**
 * Returns memory to the operating system after much data has passed through the process. V8 keeps a heap that has grown
 * until it needs the next full collection, which an idle server never does.
 */
import { Session } from "node:inspector";

/** Bytes after which a collection is worth its pause of some 100 ms. */
const WORTHWHILE = 16 * 1024 * 1024;
/** Milliseconds without further data. */
const IDLE_MS = 3000;

/** Collects garbage and shrinks the heap. Of the ways to do so, only the inspector's needs no flag of the process. */
export function collectGarbage(): Promise<void> {
  const session = new Session();
  session.connect();
  return new Promise((resolve) => {
    // The collection runs after this call; a session that is disconnected before would cancel it.
    session.post("HeapProfiler.collectGarbage", () => {
      // The callback runs under a lock that the end of a session takes too: disconnecting here would block the process.
      setImmediate(() => {
        session.disconnect();
        resolve();
      });
    });
  });
}

export class MemoryRelease {
  #bytes = 0;
  #lastMs = 0;
  #timer: NodeJS.Timeout | undefined;

  /** @param release collects garbage and returns unused memory */
  constructor(private readonly release: () => void) {}

  /** Counts data that passed through memory. Frees memory once 3 s pass without further data. */
  passed(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes < WORTHWHILE) return;
    this.#lastMs = Date.now();
    this.#timer ??= this.#wait(IDLE_MS);
  }

  #wait(ms: number): NodeJS.Timeout {
    return setTimeout(() => {
      const remaining = this.#lastMs + IDLE_MS - Date.now();
      this.#timer = remaining > 0 ? this.#wait(Math.min(remaining, IDLE_MS)) : undefined;
      if (remaining > 0) return;
      this.#bytes = 0;
      this.release();
    }, ms).unref();
  }
}

/** Of this process. */
export const memoryRelease = new MemoryRelease(() => void collectGarbage());
