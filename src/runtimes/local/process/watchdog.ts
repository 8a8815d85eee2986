/** The server's side of its watchdog: starts it, starts it again when it is killed, and tells it what runs. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { StackwardenError } from "../../../stack/errors.js";
import { startTime } from "../../../stack/process-identity.js";
import { writeWhole } from "../../../stack/project-store.js";
import { Serial } from "../../../stack/serial.js";
import type { WatchdogMessage } from "../watchdog-main.js";
import { endEntry, type RunEntry, type RunFile, serverLives } from "./ledger.js";

/** Beside the bundle, or in dist/ when run from the sources. */
function findProgram(): string {
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    for (const file of [join(folder, "watchdog.js"), join(folder, "dist", "watchdog.js")])
      if (existsSync(file)) return file;
    if (folder === dirname(folder))
      throw new StackwardenError("INTERNAL", "The watchdog's program is missing.", {
        hint: "Install stackwarden again, or build it with npm run build.",
      });
  }
}

export interface WatchdogOptions {
  /** The server's state directory. */
  stateDir: string;
  warn(message: string): void;
}

export class Watchdog {
  readonly #entries = new Map<number, RunEntry>();
  readonly #serial = new Serial();
  readonly #file: string;
  #process: ChildProcess | null = null;
  #closed = false;

  constructor(private readonly options: WatchdogOptions) {
    this.#file = join(options.stateDir, "run", `${process.pid}.json`);
  }

  /** The watchdog's process id, null before anything ran. */
  get pid(): number | null {
    return this.#process?.pid ?? null;
  }

  /** Must be told before the process begins. @throws STORAGE_FAILED */
  async add(entry: RunEntry): Promise<void> {
    this.#entries.set(entry.pid, entry);
    try {
      await this.#save();
    } catch (error) {
      this.#entries.delete(entry.pid);
      throw error;
    }
    if (this.#process === null) this.#start();
    else this.#tell({ add: entry });
  }

  async remove(pid: number): Promise<void> {
    this.#entries.delete(pid);
    this.#tell({ remove: pid });
    // A file that names what is gone does no harm: starts are compared before anything is ended.
    await this.#save().catch((error: Error) => this.options.warn(error.message));
  }

  /** Ends what earlier servers left whose watchdog was killed too. */
  async sweep(): Promise<void> {
    const folder = join(this.options.stateDir, "run");
    for (const name of await readdir(folder).catch(() => [])) {
      if (!/^\d+\.json$/.test(name)) continue;
      const path = join(folder, name);
      try {
        const file = JSON.parse(await readFile(path, "utf8")) as RunFile;
        if (serverLives(file)) continue;
        await Promise.all(file.entries.map((entry) => endEntry(entry, false)));
        if (file.entries.length > 0)
          this.options.warn(`Ended ${file.entries.length} services that the server ${file.pid} left behind.`);
      } catch (error) {
        this.options.warn(`${path} was not understood and is removed: ${(error as Error).message}`);
      }
      await rm(path, { force: true });
    }
  }

  /** Everything was ended: the watchdog is not needed any more. */
  async close(): Promise<void> {
    this.#closed = true;
    const watchdog = this.#process;
    if (watchdog !== null && watchdog.exitCode === null && watchdog.signalCode === null) {
      const exited = new Promise<void>((resolve) => watchdog.once("exit", () => resolve()));
      watchdog.ref();
      this.#tell({ done: true });
      watchdog.stdin?.end();
      await exited;
    }
    await this.#serial.run(() => rm(this.#file, { force: true }));
  }

  #save(): Promise<void> {
    return this.#serial.run(async () => {
      await mkdir(dirname(this.#file), { recursive: true, mode: 0o700 });
      const file: RunFile = { pid: process.pid, started: startTime(process.pid), entries: [...this.#entries.values()] };
      await writeWhole(this.#file, JSON.stringify(file));
    });
  }

  #start(): void {
    const watchdog = spawn(process.execPath, [findProgram(), this.#file], {
      detached: true,
      stdio: ["pipe", "ignore", "ignore"],
      cwd: "/",
      env: {},
    });
    this.#process = watchdog;
    watchdog.unref();
    watchdog.stdin?.on("error", () => undefined);
    watchdog.once("error", (error) => this.options.warn(`The watchdog cannot be started: ${error.message}`));
    watchdog.once("exit", () => {
      if (this.#closed || this.#process !== watchdog) return;
      this.options.warn("The watchdog was ended by somebody; it is started again.");
      this.#start();
    });
    for (const entry of this.#entries.values()) this.#tell({ add: entry });
  }

  #tell(message: WatchdogMessage): void {
    if (this.#process?.stdin?.writable) this.#process.stdin.write(`${JSON.stringify(message)}\n`);
  }
}
