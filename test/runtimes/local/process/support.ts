/** Process hosts in temporary state directories, and checks that no process or cgroup remains after a test. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { buildSync } from "esbuild";
import { expect } from "vitest";
import { detectCgroups } from "../../../../src/runtimes/local/process/detect-cgroups.js";
import { createProcessHost, detectMachine } from "../../../../src/runtimes/local/process-host.js";
import type { ManagedProcess, ProcessHost, ProcessSpec, RunSpec } from "../../../../src/runtimes/local/types.js";
import { RecordingSink } from "../../contract/bench.js";
import { tempDir } from "../support/fixture.js";

export const ROOT = join(import.meta.dirname, "../../../..");
export const isRoot = process.getuid?.() === 0;
/** Whether the tests can create cgroups on this machine. */
export const hasCgroups = (await detectCgroups()).factory !== null;
export const NODE = process.execPath;

/** Builds the watchdog if `dist` lacks it. */
export function ensureWatchdog(): void {
  if (!existsSync(join(ROOT, "dist/watchdog.js"))) bundle("watchdog-main.ts", join(ROOT, "dist/watchdog.js"));
}

export function bundle(source: string, outfile: string): void {
  buildSync({
    entryPoints: [join(ROOT, "src/runtimes/local", source)],
    outfile,
    bundle: true,
    format: "esm",
    platform: "node",
    target: "node20.19",
    logLevel: "warning",
  });
}

/** Directories of a server's services in every hierarchy. */
export function cgroupsOf(serverPid: number): string[] {
  // Cgroups of other servers can disappear at any time.
  const list = (folder: string) => {
    try {
      return readdirSync(folder, { withFileTypes: true });
    } catch {
      return [];
    }
  };
  const below = (folder: string, depth: number): string[] =>
    list(folder)
      .filter((entry) => entry.isDirectory())
      .flatMap((entry) => {
        const path = join(folder, entry.name);
        const found = entry.name.startsWith(`stackwarden-${serverPid}-`) ? [path] : [];
        return depth === 0 ? found : [...found, ...below(path, depth - 1)];
      });
  return existsSync("/sys/fs/cgroup") ? below("/sys/fs/cgroup", 4) : [];
}

/** Running processes (no zombies) that have `mark` in their arguments. */
export function processesWith(mark: string): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(mark);
      } catch {
        return false;
      }
    })
    .map(Number);
}

export async function until(what: string, condition: () => boolean | Promise<boolean>, deadlineMs = 45_000) {
  // A test can fake Date.
  const end = performance.now() + deadlineMs;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`${what}: not within ${deadlineMs} ms`);
    await sleep(20);
  }
}

/** Found once: a server runs about ten programs for it. */
let machine: ReturnType<typeof detectMachine> | undefined;
export const thisMachine = () => {
  machine ??= detectMachine({});
  return machine;
};

export class HostFixture {
  readonly dir = tempDir();
  readonly stateDir = join(this.dir.path, "state");
  readonly warnings: string[] = [];
  readonly sink = new RecordingSink();
  /** Part of the arguments of every started process, by which tests find it. */
  readonly mark = `mark-${process.pid}-${Math.random().toString(36).slice(2)}`;
  #host: Promise<Awaited<ReturnType<typeof createProcessHost>>> | null = null;
  #generation = 0;

  host(options: { cgroupRoot?: string; procRoot?: string } = {}) {
    ensureWatchdog();
    const isMachine = Object.keys(options).length === 0;
    const given = { stateDir: this.stateDir, warn: (text: string) => this.warnings.push(text), ...options };
    this.#host ??= isMachine
      ? thisMachine().then((machine) => createProcessHost(given, machine))
      : createProcessHost(given);
    return this.#host;
  }

  async spec(argv: string[], fields: Partial<ProcessSpec> = {}): Promise<ProcessSpec> {
    this.#generation += 1;
    const user = await (await this.host()).userFor("demo", "web");
    return {
      projectId: "demo",
      service: "web",
      generation: this.#generation,
      argv,
      cwd: "/",
      env: {},
      user,
      limits: {},
      sink: this.sink,
      ...fields,
    };
  }

  async spawn(argv: string[], fields: Partial<ProcessSpec> = {}): Promise<ManagedProcess> {
    return (await this.host()).spawn(await this.spec(argv, fields));
  }

  /** Runs a script whose arguments contain the mark. */
  shell(script: string, fields: Partial<ProcessSpec> = {}): Promise<ManagedProcess> {
    return this.spawn(["/bin/sh", "-c", script, this.mark], fields);
  }

  async run(argv: string[], fields: Partial<RunSpec> = {}): ReturnType<ProcessHost["run"]> {
    const host = await this.host();
    const user = await host.userFor("demo", "web");
    const signal = new AbortController().signal;
    return host.run({ argv, cwd: "/", env: {}, user, signal, timeoutMs: 10_000, ...fields });
  }

  /** Closes the host; fails when a process, a cgroup or the run file is left. */
  async close(): Promise<void> {
    await (await this.#host)?.close();
    try {
      expect(processesWith(this.mark)).toEqual([]);
      expect(cgroupsOf(process.pid)).toEqual([]);
      expect(existsSync(join(this.stateDir, "run", `${process.pid}.json`))).toBe(false);
    } finally {
      this.dir.remove();
    }
  }
}
