/**
 * The server's side of the watchdog: starts it, restarts it when it is killed, and reports the running processes to it.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdir, readdir, readFile, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { atomicWrite } from "../../../system/atomic-write.js";
import { Mutex } from "../../../system/mutex.js";
import { isAlive, startTime } from "../../../system/process-identity.js";
import { ownProgram } from "./own-program.js";
import { endEntry, hostIdentity, ownerStatus, type RunEntry, type RunFile, usersInUse } from "./run-file.js";
import { removeRunFile, type WatchdogMessage } from "./watchdog-program.js";

const SHORT_LIFE_MS = 1000;

export interface WatchdogOptions {
  /** The server's state directory. */
  stateDir: string;
  warn(message: string): void;
}

export class Watchdog {
  readonly #entries = new Map<number, RunEntry>();
  readonly #serial = new Mutex();
  readonly #file: string;
  /** This server, which the run file names. */
  #owner: Omit<RunFile, "entries"> | undefined;
  #process: ChildProcess | null = null;
  /** Resolved once: a failure at a restart would not be reported to a caller. */
  #program: string | null = null;
  #closed = false;

  constructor(private readonly options: WatchdogOptions) {
    this.#file = join(options.stateDir, "run", `${process.pid}.json`);
  }

  /** The watchdog's process id; null before the first start. */
  get pid(): number | null {
    return this.#process?.pid ?? null;
  }

  /** Starts the watchdog's process while other work prepares the first entry. */
  begin(): void {
    if (this.#process === null) this.#start();
  }

  /**
   * Must be called before the process begins.
   * @throws STORAGE_FAILED
   */
  async add(entry: RunEntry): Promise<void> {
    this.#entries.set(entry.pid, entry);
    try {
      if (this.#process === null) this.#start();
      else this.#tell({ add: entry });
      await this.#save();
    } catch (error) {
      this.#entries.delete(entry.pid);
      this.#tell({ remove: entry.pid });
      throw error;
    }
  }

  async remove(pid: number): Promise<void> {
    this.#entries.delete(pid);
    this.#tell({ remove: pid });
    // A stale entry in the file is harmless: start times are compared before a process is killed.
    await this.#save().catch((error: Error) => this.options.warn(error.message));
  }

  /** Ends processes of earlier servers whose watchdog was killed too. */
  async sweep(): Promise<void> {
    const folder = dirname(this.#file);
    const names = await readdir(folder).catch((): string[] => []);
    const files = names.filter((name) => /^\d+\.json$/.test(name));
    await Promise.all(files.map((name) => this.#sweepFile(join(folder, name))));
    // Temporary file of a server that died, together with its watchdog, while writing.
    for (const name of names) {
      const pid = /^(\d+)\.json\./.exec(name)?.[1];
      if (pid !== undefined && !isAlive(Number(pid), null)) await rm(join(folder, name), { force: true });
    }
  }

  async #sweepFile(path: string): Promise<void> {
    const { warn } = this.options;
    let file: RunFile;
    try {
      file = JSON.parse(await readFile(path, "utf8")) as RunFile;
      const state = ownerStatus(file);
      if (state === "lives" || state === "elsewhere") return;
      if (state === "rebooted") file.entries = [];
      if (!Array.isArray(file.entries)) throw new Error("it has no entries");
    } catch (error) {
      // Another server may have removed it meanwhile.
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
      warn(`${path} cannot be read and is removed: ${(error as Error).message}`);
      return rm(path, { force: true });
    }
    const inUse = usersInUse(path);
    const ends = await Promise.allSettled(file.entries.map((entry) => endEntry(entry, false, inUse)));
    const failed = ends.find((end) => end.status === "rejected");
    if (failed !== undefined) {
      warn(
        `Some processes that server ${file.pid} left behind could not be ended: ${(failed.reason as Error).message}`,
      );
      return;
    }
    if (file.entries.length > 0) warn(`Ended ${file.entries.length} processes that server ${file.pid} left behind.`);
    removeRunFile(path);
  }

  /** Everything has ended: the watchdog is no longer needed. */
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
      this.#owner ??= { pid: process.pid, started: startTime(process.pid), place: hostIdentity() };
      const file: RunFile = { ...this.#owner, entries: [...this.#entries.values()] };
      // After a crash of the machine none of these processes exists.
      await atomicWrite(this.#file, JSON.stringify(file), 0o600, false);
    });
  }

  #start(): void {
    this.#program ??= ownProgram("watchdog");
    const watchdog = spawn(process.execPath, [this.#program, this.#file], {
      detached: true,
      stdio: ["pipe", "ignore", "ignore"],
      cwd: "/",
      env: {},
    });
    this.#process = watchdog;
    watchdog.unref();
    watchdog.stdin?.on("error", () => undefined);
    watchdog.once("error", (error) => {
      this.#process = null;
      this.options.warn(`The watchdog cannot be started: ${error.message}`);
    });
    const startedAt = Date.now();
    watchdog.once("exit", () => {
      if (this.#closed) return;
      this.options.warn("The watchdog ended unexpectedly; starting it again.");
      // A watchdog that fails at once must not be restarted in a loop.
      const pause = Date.now() - startedAt < SHORT_LIFE_MS ? SHORT_LIFE_MS : 0;
      setTimeout(() => this.#closed || this.#start(), pause).unref();
    });
    for (const entry of this.#entries.values()) this.#tell({ add: entry });
  }

  #tell(message: WatchdogMessage): void {
    if (this.#process?.stdin?.writable) this.#process.stdin.write(`${JSON.stringify(message)}\n`);
  }
}
