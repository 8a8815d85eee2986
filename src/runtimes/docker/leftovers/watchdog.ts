/** The server's side of the watchdog: starts it, restarts it when it is killed, and reports the engines to it. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { EngineAddress } from "../engine/address.js";
import { serverId } from "./labels.js";
import { plainAddress, type WatchdogMessage } from "./watchdog-program.js";

export interface WatchdogOptions {
  env: NodeJS.ProcessEnv;
  warn(message: string): void;
}

const NAME = "docker-watchdog.js";
const SHORT_LIFE_MS = 1000;
/** Environment variables for an engine behind SSH. */
const PASSED = ["PATH", "HOME", "USER", "SSH_AUTH_SOCK", "XDG_RUNTIME_DIR"];

/** Path of the program: beside the bundle, or in dist/ when run from the sources; null when it was not built. */
export function findProgram(from = dirname(fileURLToPath(import.meta.url))): string | null {
  for (let folder = from; ; folder = dirname(folder)) {
    for (const file of [join(folder, NAME), join(folder, "dist", NAME)]) if (existsSync(file)) return file;
    if (folder === dirname(folder)) return null;
  }
}

export class Watchdog {
  readonly #messages: WatchdogMessage[] = [];
  #process: ChildProcess | null = null;
  #closed = false;

  constructor(
    private readonly options: WatchdogOptions,
    private readonly program = findProgram(),
  ) {}

  /** The watchdog's process id; null before the first start. */
  get pid(): number | null {
    return this.#process?.pid ?? null;
  }

  /** Must be called before anything is created on the engine. */
  watch(address: EngineAddress): void {
    this.#add({ engine: plainAddress(address) });
  }

  /** Registers a folder that is removed too. */
  removeAtEnd(secrets: string): void {
    this.#add({ secrets });
  }

  /** Everything has been removed: the watchdog is no longer needed. */
  async close(): Promise<void> {
    this.#closed = true;
    const watchdog = this.#process;
    if (watchdog === null || watchdog.exitCode !== null || watchdog.signalCode !== null) return;
    const exited = new Promise<void>((resolve) => watchdog.once("exit", () => resolve()));
    watchdog.ref();
    this.#tell({ done: true });
    watchdog.stdin?.end();
    await exited;
  }

  #add(message: WatchdogMessage): void {
    const text = JSON.stringify(message);
    if (this.#messages.some((one) => JSON.stringify(one) === text)) return;
    this.#messages.push(message);
    if (this.#process === null) this.#start();
    else this.#tell(message);
  }

  #start(): void {
    const { env, warn } = this.options;
    if (this.program === null) {
      warn("The watchdog's program is missing: containers of a killed server are removed by the next one.");
      return;
    }
    const watchdog = spawn(process.execPath, [this.program, serverId()], {
      detached: true,
      stdio: ["pipe", "ignore", "ignore"],
      cwd: "/",
      env: Object.fromEntries(PASSED.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]]]))),
    });
    this.#process = watchdog;
    watchdog.unref();
    watchdog.stdin?.on("error", () => undefined);
    // The pipe must not keep the server's event loop running.
    (watchdog.stdin as unknown as { unref?(): void } | null)?.unref?.();
    watchdog.once("error", (error) => {
      this.#process = null;
      warn(`The watchdog cannot be started: ${error.message}`);
    });
    const startedAt = Date.now();
    watchdog.once("exit", () => {
      if (this.#closed) return;
      warn("The watchdog was ended from outside; it is started again.");
      const pause = Date.now() - startedAt < SHORT_LIFE_MS ? SHORT_LIFE_MS : 0;
      setTimeout(() => this.#closed || this.#start(), pause).unref();
    });
    for (const message of this.#messages) this.#tell(message);
  }

  #tell(message: WatchdogMessage): void {
    if (this.#process?.stdin?.writable) this.#process.stdin.write(`${JSON.stringify(message)}\n`);
  }
}
