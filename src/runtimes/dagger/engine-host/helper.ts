/** The persistent process on the engine's host: one process for many requests, restarted after it ended. */

import { spawn } from "node:child_process";
import { StackwardenError } from "../../../errors.js";
import { heldEnd } from "../../../stack/text/sanitize-text.js";
import { LineSplitter } from "../../../system/line-splitter.js";
import { within, withinOrNull } from "../../../system/wait.js";
import { type Child, childExit } from "../engine/child-exit.js";
import type { ExecCommand } from "./exec-transport.js";
import { encodeRequest, HELPER_SCRIPT } from "./helper-script.js";

/** Milliseconds until the helper reports that it is ready: `kubectl exec` connects over a network. */
const READY_MS = 20_000;
/**
 * Milliseconds from the end of its input to its exit, in which it ends running requests on a machine that may be busy.
 */
const GRACE_MS = 5_000;
/** Milliseconds for the end of a killed request. */
const CANCEL_MS = 5_000;
const MOST_OUTPUT = 4 * 1_048_576;

export interface Answer {
  exitCode: number;
  output: Buffer;
}

export interface Request {
  /** A command, or a function of SCRIPTS, with its arguments. */
  words: string[];
  /** Maximum bytes of output; the rest is discarded. Default 4 MiB. */
  most?: number;
}

interface Pending {
  parts: Buffer[];
  /** 255 when it is not reported, because the process that reports it was killed. */
  exitCode: number;
  resolve(answer: Answer): void;
  reject(error: Error): void;
}

/** The helper ended before it answered a request. */
class HelperEnded extends Error {
  override readonly name = "HelperEnded";
}

class Connection {
  readonly #pending = new Map<number, Pending>();
  readonly ended: Promise<string>;
  #words = "";
  #over: string | null = null;
  #directory = "";
  #tellReady: (() => void) | undefined;

  constructor(
    private readonly child: Child,
    readonly way: ExecCommand,
  ) {
    const lines = new LineSplitter((line) => this.#line(line), Number.POSITIVE_INFINITY);
    child.stdout.on("data", (chunk: Buffer) => lines.push(chunk));
    child.stderr.setEncoding("utf8");
    child.stderr.on("data", (chunk: string) => {
      this.#words = heldEnd(this.#words + chunk);
    });
    this.ended = childExit(child).then(({ how, error }) => {
      const lastOutput = this.#words
        .trim()
        .split(/\s*\n\s*/)
        .slice(-3)
        .join(" ");
      const it = error === undefined ? `it ${how}` : how;
      this.#over = lastOutput === "" ? it : `${it}: ${lastOutput}`;
      this.#fail(this.#over);
      return this.#over;
    });
  }

  #fail(why: string): void {
    for (const { reject } of this.#pending.values()) reject(new HelperEnded(why));
    this.#pending.clear();
  }

  get over(): boolean {
    return this.#over !== null;
  }

  get directory(): string {
    return this.#directory;
  }

  /** Rejects with the last output of the helper. */
  async ready(signal: AbortSignal): Promise<void> {
    const ready = new Promise<void>((resolve, reject) => {
      this.#tellReady = resolve;
      void this.ended.then((why) => reject(new HelperEnded(why)));
    });
    await within(ready, { ms: READY_MS, signal, late: () => new HelperEnded(`no answer within ${READY_MS / 1000} s`) });
  }

  #line(line: string): void {
    const ready = /^ready (\/.+)$/.exec(line);
    if (ready !== null) {
      this.#directory = ready[1] as string;
      this.#tellReady?.();
      return;
    }
    // Other lines are banners of the program that connects to the host.
    const [first, kind, ...values] = line.split(" ");
    const pending = this.#pending.get(Number(first));
    if (pending === undefined) return;
    if (kind === "o") pending.parts.push(Buffer.from(values.join(""), "hex"));
    if (kind === "x") pending.exitCode = Number(values[0]);
    if (kind !== "e") return;
    this.#pending.delete(Number(first));
    pending.resolve({ exitCode: pending.exitCode, output: Buffer.concat(pending.parts) });
  }

  /** The output so far of a request that has not ended. */
  soFar(id: number): Buffer {
    return Buffer.concat(this.#pending.get(id)?.parts ?? []);
  }

  /** @param held whether `cancel` can end it */
  request(id: number, { words, most = MOST_OUTPUT }: Request, held: boolean): Promise<Answer> {
    if (this.#over !== null) return Promise.reject(new HelperEnded(this.#over));
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { parts: [], exitCode: 255, resolve, reject });
      this.child.stdin.write(encodeRequest(id, most, words, held));
    });
  }

  cancel(id: number): void {
    this.child.stdin.write(`- ${id}\n`);
  }

  async close(): Promise<void> {
    // Pending requests must not mistake the end of the helper for a response.
    this.#fail("the connection was closed");
    this.child.stdin.end();
    const timer = setTimeout(() => this.child.kill("SIGKILL"), GRACE_MS);
    await this.ended;
    clearTimeout(timer);
  }
}

export class Helper {
  #connection: Connection | null = null;
  #starting: Promise<Connection> | null = null;
  #nextId = 1;
  #closed = false;
  readonly #life = new AbortController();

  constructor(
    private readonly way: ExecCommand,
    private readonly env: NodeJS.ProcessEnv,
    private readonly warn: (message: string) => void,
  ) {}

  /**
   * Starts the helper when it does not run.
   * @throws RUNTIME_UNAVAILABLE with its last output
   */
  async start(signal?: AbortSignal): Promise<void> {
    await this.#connect(signal);
  }

  async #connect(signal?: AbortSignal): Promise<Connection> {
    if (this.#connection !== null && !this.#connection.over) return this.#connection;
    this.#starting ??= this.#open(signal).finally(() => {
      this.#starting = null;
    });
    return this.#starting;
  }

  async #open(signal: AbortSignal | undefined): Promise<Connection> {
    if (this.#closed) throw this.#unavailable("the connection was closed");
    const [program, ...words] = this.way.argv;
    const child = spawn(program, [...words, "-c", HELPER_SCRIPT], {
      env: this.env,
      stdio: ["pipe", "pipe", "pipe"],
      // A separate process group: an interrupt at the terminal reaches only the server, which stops the services first.
      detached: true,
    });
    const connection = new Connection(child, this.way);
    const together = signal === undefined ? this.#life.signal : AbortSignal.any([signal, this.#life.signal]);
    try {
      await connection.ready(together);
    } catch (error) {
      await connection.close();
      throw this.#explained(error);
    }
    this.#connection = connection;
    void connection.ended.then((why) => {
      if (!this.#closed) this.warn(`The connection to the engine's host (${this.way.description}) ended: ${why}.`);
    });
    return connection;
  }

  #explained(error: unknown): unknown {
    return error instanceof HelperEnded ? this.#unavailable(error.message) : error;
  }

  #unavailable(why: string): StackwardenError {
    return new StackwardenError(
      "RUNTIME_UNAVAILABLE",
      `The engine's host cannot be reached by ${this.way.description}: ${why}.`,
      { hint: "Run `stackwarden doctor`: it says how the engine's host is reached." },
    );
  }

  /**
   * Runs a command on the engine's host.
   * @param again true for an idempotent command: it is repeated once when the helper ends during the request. Default
   * true.
   * @throws RUNTIME_UNAVAILABLE
   */
  async run(request: Request, again = true): Promise<Answer> {
    const connection = await this.#connect();
    try {
      return await connection.request(this.#nextId++, request, false);
    } catch (error) {
      if (error instanceof HelperEnded && again && !this.#closed) return this.run(request, false);
      throw this.#explained(error);
    }
  }

  /**
   * Runs a command that writes its process id into the given file, and kills the process group on a timeout or an
   * abort.
   * @returns an exit code of null when it was killed before it ended
   */
  async runToEnd(
    request: (pidFile: string) => Request,
    { timeoutMs, signal }: { timeoutMs: number; signal: AbortSignal },
  ): Promise<{ exitCode: number | null; output: Buffer }> {
    const connection = await this.#connect();
    const id = this.#nextId++;
    const answer = connection.request(id, request(`${connection.directory}/${id}.pid`), true);
    answer.catch(() => {});
    let stop: (() => void) | undefined;
    const early = new Promise<null>((resolve) => {
      const timer = setTimeout(() => resolve(null), timeoutMs);
      const left = () => resolve(null);
      signal.addEventListener("abort", left, { once: true });
      if (signal.aborted) left();
      stop = () => {
        clearTimeout(timer);
        signal.removeEventListener("abort", left);
      };
    });
    try {
      const first = await Promise.race([answer, early]);
      if (first !== null) return first;
      connection.cancel(id);
      // Wait for the killed request, but not longer than this.
      const ended = await withinOrNull(answer, CANCEL_MS);
      return { exitCode: null, output: ended?.output ?? connection.soFar(id) };
    } catch (error) {
      throw this.#explained(error);
    } finally {
      stop?.();
    }
  }

  /** Starts a script with arguments on the engine's host over a separate connection. */
  spawn(script: string, args: readonly string[]): Child {
    const [program, ...rest] = this.way.argv;
    return spawn(program, [...rest, "-c", script, "sh", ...args], {
      env: this.env,
      stdio: ["pipe", "pipe", "pipe"],
      detached: true,
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#life.abort(this.#unavailable("the connection was closed"));
    await this.#starting?.catch(() => {});
    await this.#connection?.close();
  }
}
