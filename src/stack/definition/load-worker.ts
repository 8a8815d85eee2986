/**
 * Reads a project's definition in a worker thread. A file that is crafted to block its reader or to exhaust memory ends
 * only that thread, not the server. One idle worker is kept between loads; a load that finds it at
 * work waits a moment for it.
 */

import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import {
  reviveError,
  StackwardenError,
  type TransferredError,
  toStackwardenError,
  transferError,
} from "../../errors.js";
import { type ThreadTime, threadTime } from "../../system/thread-time.js";
import { within } from "../../system/wait.js";
import { unpacked } from "./thread-copy.js";
import type { LoadRequest, LoadStack, StackDefinition } from "./types.js";

/** Messages to the worker. */
export type WorkerRequest =
  | { kind: "load"; request: Omit<LoadRequest, "generateSecret"> }
  | { kind: "secret"; value: string }
  | { kind: "no secret"; error: TransferredError };

/** Messages from the worker. */
export type WorkerReply =
  /** `thread`: its path below /proc; null where there is none. */
  | { kind: "ready"; thread: string | null }
  | { kind: "secret"; name: string }
  /** `packed` */
  | { kind: "loaded"; definition: unknown }
  | { kind: "failed"; error: TransferredError; stack?: string | undefined };

export interface WorkerLoaderOptions {
  /**
   * Milliseconds for one file. Default 2,000. On a machine too busy to run the reader, the deadline is extended up to
   * five times. Where the kernel counts it (Linux), time in which the reader waits for a processor is not included.
   */
  deadlineMs?: number;
  /** Memory limit of the worker, in megabytes. Default 200. */
  memoryMb?: number;
  /** Milliseconds after which an idle worker ends. Default 120,000. */
  idleMs?: number;
  /**
   * Milliseconds that a load waits for a worker at work before it starts another, which takes longer than most loads.
   * The time counts from the moment that worker is ready, because another one would not be ready earlier. Default 100.
   */
  busyMs?: number;
  /** Path of the worker's program. Default: next to the bundle, or in dist/ when run from the sources. */
  program?: string;
}

export interface WorkerLoader {
  readonly loadStack: LoadStack;
  /** Starts a worker for the first load. */
  warm(): void;
  /** Ends the idle worker. Loads in progress complete. */
  close(): Promise<void>;
}

const DEADLINE_MS = 2000;
const MEMORY_MB = 200;
const IDLE_MS = 120_000;
const MOST_PATIENCE = 5;
/**
 * Fraction of the deadline. Less CPU time than this since the start means that other work kept the machine busy.
 */
const ENOUGH_WORK = 0.75;
const START_MS = 30_000;
const BUSY_MS = 100;

function workerProgram(): string {
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    for (const file of [join(folder, "load-worker.js"), join(folder, "dist", "load-worker.js")])
      if (existsSync(file)) return file;
    if (folder === dirname(folder))
      throw new StackwardenError("INTERNAL", "The program that reads compose files is missing.", {
        hint: "Install stackwarden again, or build it with npm run build.",
      });
  }
}

export function createWorkerLoader(options: WorkerLoaderOptions = {}): WorkerLoader {
  const { deadlineMs = DEADLINE_MS, memoryMb = MEMORY_MB, idleMs = IDLE_MS, busyMs = BUSY_MS } = options;
  let idle: Reader | null = null;
  let busy = 0;
  let idleTimer: NodeJS.Timeout | undefined;
  let closed = false;
  /** Of the newest worker. */
  let started: Promise<void> = Promise.resolve();
  const start = (): Reader => {
    const reader = new Reader(options.program ?? workerProgram(), memoryMb, deadlineMs);
    started = reader.started;
    return reader;
  };
  const waiting: ((reader: Reader) => void)[] = [];
  const take = async (): Promise<Reader> => {
    clearTimeout(idleTimer);
    const free = idle !== null && !idle.ended ? idle : null;
    idle = null;
    const reader = free ?? (busy === 0 ? start() : ((await returned(waiting, started, busyMs)) ?? start()));
    busy += 1;
    return reader;
  };
  const giveBack = (reader: Reader): void => {
    busy -= 1;
    const next = closed || reader.ended ? undefined : waiting.shift();
    if (next !== undefined) {
      next(reader);
      return;
    }
    keep(reader);
  };
  const keep = (reader: Reader): void => {
    if (closed || reader.ended || (idle !== null && !idle.ended)) {
      void reader.end();
      return;
    }
    idle = reader;
    clearTimeout(idleTimer);
    idleTimer = setTimeout(() => {
      if (idle === reader) idle = null;
      void reader.end();
    }, idleMs);
    idleTimer.unref();
  };
  return {
    warm: () => {
      if (idle === null && busy === 0 && !closed) keep(start());
    },
    loadStack: async (request) => {
      const reader = await take();
      try {
        return await reader.load(request);
      } finally {
        giveBack(reader);
      }
    },
    close: async () => {
      closed = true;
      clearTimeout(idleTimer);
      const last = idle;
      idle = null;
      await last?.end();
    },
  };
}

/** The next worker that completes its load; null when none does within `busyMs` after `started`. */
function returned(
  waiting: ((reader: Reader) => void)[],
  started: Promise<void>,
  busyMs: number,
): Promise<Reader | null> {
  return new Promise((resolve) => {
    let timer: NodeJS.Timeout | undefined;
    let isTaken = false;
    const take = (reader: Reader): void => {
      isTaken = true;
      clearTimeout(timer);
      resolve(reader);
    };
    waiting.push(take);
    void started.then(() => {
      if (isTaken) return;
      timer = setTimeout(() => {
        waiting.splice(waiting.indexOf(take), 1);
        resolve(null);
      }, busyMs);
    });
  });
}

const tooMuch = (message: string): StackwardenError =>
  new StackwardenError("INVALID_STACK", message, {
    hint: "Make the project's compose file, its included files and its env files smaller: long lists, many aliases and deep nesting take long to read.",
  });

/** One worker thread; it loads one definition at a time. */
class Reader {
  ended = false;
  /** Resolves when it can read, or has ended. */
  readonly started: Promise<void>;
  readonly #worker: Worker;
  readonly #ready: Promise<void>;
  /** The worker's path below /proc. */
  #thread: string | null = null;
  /** Rejects `#failed` with the reason for which the worker ended. */
  #fail: (error: Error) => void = () => undefined;
  readonly #failed: Promise<never>;

  constructor(
    program: string,
    private readonly memoryMb: number,
    private readonly deadlineMs: number,
  ) {
    this.#worker = new Worker(program, {
      // Reading files needs neither the server's environment nor its arguments.
      env: {},
      argv: [],
      execArgv: [],
      resourceLimits: { maxOldGenerationSizeMb: memoryMb, maxYoungGenerationSizeMb: Math.ceil(memoryMb / 4) },
    });
    this.#failed = new Promise((_resolve, reject) => {
      this.#fail = reject;
    });
    this.#failed.catch(() => undefined);
    this.#worker.on("error", (error: NodeJS.ErrnoException) => {
      this.ended = true;
      this.#fail(
        error.code === "ERR_WORKER_OUT_OF_MEMORY"
          ? tooMuch(`Reading the project's definition needs more than ${this.memoryMb} MB of memory.`)
          : error,
      );
    });
    this.#worker.on("exit", (code) => {
      this.ended = true;
      this.#fail(new Error(`The reader of compose files ended with code ${code}.`));
    });
    this.#ready = new Promise((resolve) =>
      this.#worker.once("message", ({ thread }: WorkerReply & { kind: "ready" }) => {
        this.#thread = thread;
        resolve();
      }),
    );
    this.started = Promise.race([this.#ready, this.#failed]).catch(() => undefined);
    // An idle worker must not keep the process alive.
    this.#worker.unref();
  }

  async load({ generateSecret, ...request }: LoadRequest): Promise<StackDefinition> {
    this.#worker.ref();
    try {
      await this.#within(START_MS, this.#ready, "The reader of compose files did not start.");
      return await this.#read(request, generateSecret);
    } catch (error) {
      if (error instanceof StackwardenError) throw error;
      throw toStackwardenError(error);
    } finally {
      this.#worker.unref();
    }
  }

  async end(): Promise<void> {
    this.ended = true;
    await this.#worker.terminate();
  }

  async #read(request: Omit<LoadRequest, "generateSecret">, generateSecret: LoadRequest["generateSecret"]) {
    const deadline = this.#deadline();
    const answer = new Promise<StackDefinition>((resolve, reject) => {
      this.#worker.on("message", (reply: WorkerReply) => {
        if (reply.kind === "loaded") resolve(unpacked(reply.definition) as StackDefinition);
        else if (reply.kind === "failed") reject(errorOf(reply));
        else if (reply.kind === "secret") {
          // The time to store the secret does not count against the file's deadline.
          deadline.pause();
          generateSecret(reply.name).then(
            (value) => {
              deadline.resume();
              this.#send({ kind: "secret", value });
            },
            (error: unknown) => {
              deadline.resume();
              this.#send({ kind: "no secret", error: transferError(toStackwardenError(error)) });
            },
          );
        }
      });
    });
    answer.catch(() => undefined);
    try {
      this.#send({ kind: "load", request });
      return await Promise.race([answer, deadline.passed, this.#failed]);
    } finally {
      deadline.end();
      this.#worker.removeAllListeners("message");
    }
  }

  #send(message: WorkerRequest): void {
    this.#worker.postMessage(message);
  }

  #within<T>(ms: number, promise: Promise<T>, message: string): Promise<T> {
    return within(Promise.race([promise, this.#failed]), { ms, late: () => new Error(message) });
  }

  /**
   * The worker's times in milliseconds. Where the kernel does not count for each thread, those of the process: its other
   * work then counts as well, and no wait for a processor is known.
   */
  #time(): ThreadTime {
    const counted = this.#thread === null ? null : threadTime(this.#thread);
    if (counted !== null) return counted;
    const { user, system } = process.cpuUsage();
    return { ran: (user + system) / 1000, waited: 0 };
  }

  /** A wall-clock deadline, extended when the machine was so busy that the worker hardly ran. */
  #deadline() {
    let timer: NodeJS.Timeout | undefined;
    let passedMs = 0;
    const before = this.#time();
    let reject: (error: Error) => void = () => undefined;
    const passed = new Promise<never>((_resolve, rejected) => {
      reject = rejected;
    });
    passed.catch(() => undefined);
    const wait = (ms: number): void => {
      timer = setTimeout(() => {
        passedMs += ms;
        const { ran, waited } = this.#time();
        const isStarved = ran - before.ran < this.deadlineMs * ENOUGH_WORK;
        if (isStarved && passedMs - (waited - before.waited) < this.deadlineMs * MOST_PATIENCE) {
          wait(this.deadlineMs / 4);
          return;
        }
        void this.end();
        reject(tooMuch(`Reading the project's definition takes longer than ${this.deadlineMs / 1000} s.`));
      }, ms);
    };
    const begin = (): void => wait(this.deadlineMs);
    begin();
    return { passed, pause: () => clearTimeout(timer), resume: begin, end: () => clearTimeout(timer) };
  }
}

function errorOf({ error, stack }: WorkerReply & { kind: "failed" }): StackwardenError {
  const cause = stack === undefined ? undefined : Object.assign(new Error(error.message), { stack });
  return reviveError(error, cause);
}
