/**
 * Finds a cgroup v2 directory below which services can have cgroups. Controllers are enabled only in a cgroup without
 * processes, and all at once: otherwise the cgroup would become a threaded one, which accepts no further processes and
 * changes what other programs in it can do.
 */
import { constants, readFileSync, realpathSync } from "node:fs";
import { access, mkdir, rmdir } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { fieldsOfStat } from "../../../system/process-identity.js";
import { type CgroupFactory, read, write } from "./cgroup.js";
import { type V2Controller, V2Factory } from "./cgroup-v2.js";

const LEAF = "stackwarden-server";
const CONTROLLERS: V2Controller[] = ["memory", "cpu", "pids"];

const words = (text: string | null): string[] => (text ?? "").split(/\s+/).filter(Boolean);

const processesIn = async (directory: string): Promise<number[]> =>
  words(await read(directory, "cgroup.procs")).map(Number);

/** The root cgroup of the kernel has no cgroup.type file. It may hold processes and still delegate controllers. */
const isRoot = async (directory: string): Promise<boolean> => (await read(directory, "cgroup.type")) === null;

async function canMake(parent: string, pid: number): Promise<boolean> {
  const probe = join(parent, `stackwarden-probe-${pid}`);
  try {
    await access(join(parent, "cgroup.procs"), constants.W_OK);
    await mkdir(probe);
    await rmdir(probe);
    return true;
  } catch {
    return false;
  }
}

/** Script of a process, such as this program's own. */
function scriptOf(pid: number): string | null {
  try {
    const [, ...words] = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
    return realpathSync(words.find((word) => !word.startsWith("-")) ?? "");
  } catch {
    return null;
  }
}

function parentOf(pid: number): number {
  try {
    return Number(fieldsOfStat(readFileSync(`/proc/${pid}/stat`, "utf8"))[1]);
  } catch {
    return 0;
  }
}

/**
 * This process, its children, and other processes of this program, such as a command that started a server, or its
 * bridge.
 */
function isOurs(pid: number, own: number): boolean {
  for (let one = pid; one > 1; one = parentOf(one)) if (one === own) return true;
  const script = scriptOf(own);
  return script !== null && scriptOf(pid) === script;
}

/**
 * Enables every available controller for child cgroups.
 * @returns the enabled controllers
 */
async function enable(directory: string): Promise<Set<V2Controller>> {
  const available = words(await read(directory, "cgroup.controllers"));
  const on = words(await read(directory, "cgroup.subtree_control"));
  const missing = CONTROLLERS.filter((one) => available.includes(one) && !on.includes(one));
  if (missing.length > 0)
    // The kernel enables either all of them or none.
    await write(directory, "cgroup.subtree_control", missing.map((one) => `+${one}`).join(" ")).catch(() => undefined);
  const now = words(await read(directory, "cgroup.subtree_control"));
  return new Set(CONTROLLERS.filter((one) => now.includes(one)));
}

/** Number of rounds: a process that starts another one meanwhile needs a second one. */
const ROUNDS = 5;

/**
 * Moves the processes of this program to a leaf cgroup.
 * @returns whether the directory is now empty
 */
async function empty(directory: string, pid: number): Promise<boolean> {
  const leaf = join(directory, LEAF);
  for (let round = 0; round < ROUNDS; round += 1) {
    const inside = await processesIn(directory);
    if (inside.length === 0) return true;
    if (!inside.every((one) => isOurs(one, pid))) return false;
    try {
      await mkdir(leaf, { recursive: true });
    } catch {
      return false;
    }
    // A process that has ended meanwhile cannot be moved.
    for (const one of inside) await write(leaf, "cgroup.procs", one).catch(() => undefined);
  }
  return (await processesIn(directory)).length === 0;
}

/**
 * @param mountPoint mount point of the hierarchy
 * @param at directory of this process
 * @returns null when no directory from there up to the mount point can be used
 */
export async function findV2(mountPoint: string, at: string, pid: number): Promise<CgroupFactory | null> {
  // An earlier call moved this process there.
  const own = basename(at) === LEAF ? dirname(at) : at;
  for (let directory = own; directory.startsWith(mountPoint); directory = dirname(directory)) {
    if (!(await canMake(directory, pid))) continue;
    const controllers = await usable(directory, own, pid);
    if (controllers.size > 0) return new V2Factory(directory, controllers);
  }
  return null;
}

async function usable(directory: string, own: string, pid: number): Promise<Set<V2Controller>> {
  const available = words(await read(directory, "cgroup.controllers"));
  if (!CONTROLLERS.some((one) => available.includes(one))) return new Set();
  const ready =
    (await isRoot(directory)) || (directory === own ? await empty(directory, pid) : await isEmpty(directory));
  return ready ? enable(directory) : new Set();
}

const isEmpty = async (directory: string): Promise<boolean> => (await processesIn(directory)).length === 0;
