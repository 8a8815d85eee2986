/** The interface of a service's cgroup, for both versions of the kernel's interface. */
import { statSync } from "node:fs";
import { readdir, rmdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Limits } from "../../../stack/definition/types.js";
import type { AppliedLimits, Enforcement, ServiceStats } from "../../../stack/runtime.js";
import { readKernelFile } from "../../../system/kernel-file.js";
import { NO_LIMIT } from "../../shared/no-limit.js";

export type Usage = Omit<ServiceStats, "cpu_cores" | "network_rx_bytes" | "network_tx_bytes" | "reason">;

export interface Cgroup {
  /** Files that move a process into the cgroup: the process writes its id into all of them. */
  readonly procsFiles: string[];
  /** Directories of the cgroup, one for each hierarchy. The watchdog empties and removes them. */
  readonly directories: string[];
  /**
   * Sets every limit; a missing one becomes unlimited.
   * @returns the limits read back from the kernel
   */
  setLimits(limits: Limits): Promise<AppliedLimits>;
  readLimits(): Promise<AppliedLimits>;
  usage(): Promise<Usage>;
}

/** Finds and creates cgroups. */
export interface CgroupFactory {
  readonly enforcement: Enforcement;
  /** Limits of parent cgroups that bound this server; null: none. */
  bounds(): Promise<{ cpus: number | null; memory_mb: number | null }>;
  /** The directories that `create` would make, so that the watchdog can be informed before they exist. */
  directories(name: string): string[];
  create(name: string): Promise<Cgroup>;
}

export const MB = 1_048_576;
export const CPU_PERIOD_US = 100_000;
/** Kernels represent "unlimited" as a number near 2^63. */
const UNLIMITED_BYTES = 2 ** 60;

export const read = async (directory: string, file: string): Promise<string | null> =>
  readKernelFile(join(directory, file))?.trim() ?? null;

export const write = (directory: string, file: string, value: string | number): Promise<void> =>
  writeFile(join(directory, file), String(value));

/** Null for `max`, -1, "unlimited" and text that is not a number. */
export function limitValue(text: string | null): number | null {
  if (text === null || text === "max") return null;
  const value = Number(text);
  return Number.isFinite(value) && value >= 0 && value < UNLIMITED_BYTES ? value : null;
}

/** Describes a requested limit by the value that was read back. */
export const applied = (value: number | null, by: Enforcement): { value: number | null; enforcement: Enforcement } => ({
  value,
  enforcement: value === null && by.level === "enforced" ? NO_LIMIT : by,
});

/** The lowest value of a directory and its parents in the hierarchy; null when none has one. */
export async function lowest(
  from: string | undefined,
  value: (directory: string) => Promise<number | null>,
): Promise<number | null> {
  let least: number | null = null;
  if (from === undefined) return least;
  for (let directory = from; (await read(directory, "cgroup.procs")) !== null; directory = dirname(directory)) {
    const limit = await value(directory);
    if (limit !== null) least = Math.min(limit, least ?? limit);
  }
  return least;
}

/** Links of a directory that has no directories in it: its name and its `.` entry. */
const NO_DIRECTORIES = 2;

/**
 * A directory and all directories below it, deepest first. A service that may write to its cgroup can create more of
 * them.
 */
async function tree(directory: string): Promise<string[]> {
  // The kernel counts the directories in a cgroup. Listing its files takes much longer.
  if (statSync(directory, { throwIfNoEntry: false })?.nlink === NO_DIRECTORIES) return [directory];
  const entries = await readdir(directory, { withFileTypes: true }).catch(() => []);
  const below = entries.filter((entry) => entry.isDirectory()).map((entry) => tree(join(directory, entry.name)));
  return [...(await Promise.all(below)).flat(), directory];
}

async function trees(directories: readonly string[]): Promise<string[]> {
  return (await Promise.all(directories.map(tree))).flat();
}

/** Ids of all processes in these directories and below. */
export async function processes(directories: readonly string[]): Promise<number[]> {
  const lists = (await trees(directories)).map((directory) => read(directory, "cgroup.procs"));
  return [
    ...new Set((await Promise.all(lists)).flatMap((list) => (list ?? "").split("\n").filter(Boolean).map(Number))),
  ];
}

/** Kills processes until the directories are empty. The next round catches a process that forks meanwhile. */
export async function killAll(directories: readonly string[], deadlineMs = 5000): Promise<boolean> {
  const end = Date.now() + deadlineMs;
  for (let wait = 5; ; wait = Math.min(100, wait * 2)) {
    const alive = await processes(directories);
    if (alive.length === 0) return true;
    for (const pid of alive) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // The process has ended meanwhile.
      }
    }
    if (Date.now() > end) return false;
    await sleep(wait);
  }
}

/** Removes the directories that are not in use. @returns the error for one that is; null when none is left */
async function removeUnused(directories: readonly string[]): Promise<Error | null> {
  let busy: Error | null = null;
  for (const directory of directories) {
    try {
      await rmdir(directory);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "ENOENT") continue;
      if (code !== "EBUSY") throw error;
      busy = error as Error;
    }
  }
  return busy;
}

/** Kills all processes and removes the directories. The kernel needs a moment after the last process has ended. */
export async function endCgroup(directories: readonly string[], deadlineMs = 5000): Promise<void> {
  const end = Date.now() + deadlineMs;
  for (let wait = 2; ; wait = Math.min(100, wait * 2)) {
    await killAll(directories, end - Date.now());
    // Every round lists the directories again: a command may have joined the cgroup meanwhile, in a new directory below it.
    const busy = await removeUnused(await trees(directories));
    if (busy === null) return;
    if (Date.now() > end) throw busy;
    await sleep(wait);
  }
}
