/**
 * Verifies the mounts of new namespaces before a program runs in them. A project's owner or a service can exchange a
 * folder of the project for a link while bubblewrap mounts: it then mounts another folder, or mounts at another place,
 * such as over the libraries that setpriv is about to load as root. bubblewrap waits after its mounts until they are
 * verified from outside; no other process can change them afterwards.
 */
import { execFile } from "node:child_process";
import { type BigIntStats, closeSync, constants, fstatSync, openSync, readFileSync, readlinkSync } from "node:fs";
import { dirname } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { StackwardenError } from "../../../errors.js";
import { isBeneath } from "../../../system/is-beneath.js";
import { unescapeMountPath } from "../../../system/kernel-file.js";
import { O_PATH } from "../../../system/open-beneath.js";
import { realPath } from "../../../system/real-path.js";
import { childrenOf } from "./children.js";

const execute = promisify(execFile);

/** The descriptor on which bubblewrap waits. */
export const BLOCK_FD = 4;
/** The blocked process waits in a system call whose first argument is that descriptor. */
const BLOCKED = new RegExp(`^\\d+ 0x${BLOCK_FD.toString(16)} `);
const POLL_MS = 1;
const MAX_LINKS = 40;
const STEP = O_PATH | constants.O_NOFOLLOW;

/** A folder or file that a service must see at a path of its namespaces. */
export interface Pin {
  target: string;
  /** `null`: an empty file system in memory. */
  inode: Inode | null;
  /** The machine's own file may be there instead: the kernel removes a mount when a program replaces the file at the mount point. */
  orMachines?: true;
}

export interface Inode {
  dev: bigint;
  ino: bigint;
}

export interface SandboxCheck {
  /** Folders of programs, libraries and settings that setpriv reads as root. */
  system: readonly string[];
  pins: readonly Pin[];
  /** Where the arguments of bubblewrap mount something. */
  targets: readonly string[];
}

const text = (file: string): string => {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
};

const same = (a: Inode | null, b: Inode): boolean => a !== null && a.dev === b.dev && a.ino === b.ino;

const onlyRootChanges = ({ uid, mode }: BigIntStats): boolean => uid === 0n && (mode & 0o022n) === 0n;

/**
 * The inode at a path, component by component. Links are followed only in folders that only root can change.
 * @param root `/`, or the root of another process: `/proc/<pid>/root`
 * @returns null when nothing is there, or it is reached through a link that another user can replace
 */
export function inodeAt(path: string, root = "/"): Inode | null {
  const open: number[] = [];
  const enter = (at: string, flags: number): { fd: number; stats: BigIntStats } => {
    const fd = openSync(at, flags);
    open.push(fd);
    return { fd, stats: fstatSync(fd, { bigint: true }) };
  };
  const top = `${root}/.`;
  try {
    let at = enter(top, O_PATH | constants.O_DIRECTORY);
    const pending = path.split("/").reverse();
    let links = 0;
    for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
      if (name === "" || name === ".") continue;
      const place = `/proc/self/fd/${at.fd}/${name}`;
      const next = enter(place, STEP);
      if (!next.stats.isSymbolicLink()) {
        at = next;
        continue;
      }
      links += 1;
      if (!onlyRootChanges(at.stats) || links > MAX_LINKS) return null;
      const target = readlinkSync(place);
      if (target.startsWith("/")) at = enter(top, O_PATH | constants.O_DIRECTORY);
      pending.push(...target.split("/").reverse());
    }
    return { dev: at.stats.dev, ino: at.stats.ino };
  } catch {
    return null;
  } finally {
    for (const fd of open) closeSync(fd);
  }
}

/** Where a process has mounts, with the kind of file system. */
function mountsOf(pid: number | "self"): Map<string, string> {
  return new Map(
    text(`/proc/${pid}/mountinfo`)
      .split("\n")
      .filter(Boolean)
      .map((line) => {
        const fields = line.split(" ");
        return [unescapeMountPath(fields[4] ?? ""), fields[fields.indexOf("-") + 1] ?? ""];
      }),
  );
}

/** The libraries of a program, as its loader finds them. */
async function librariesOf(program: string): Promise<string[]> {
  const env = { LD_TRACE_LOADED_OBJECTS: "1" };
  const { stdout } = await execute(program, ["--version"], { env, cwd: "/", timeout: 5000 });
  return [...stdout.matchAll(/(?:=>\s+|^\s+)(\/\S+) \(0x/gm)].flatMap(([, path]) => path ?? []);
}

const LOADER_FOLDERS = ["/etc", "/lib", "/lib64", "/lib32", "/usr/lib", "/usr/lib64", "/usr/local/lib"];

/** The folders that decide what a program loads as root. */
export async function systemFolders(program: string): Promise<string[]> {
  const files = [program, ...(await librariesOf(program).catch(() => []))];
  const folders = new Set([...LOADER_FOLDERS, ...files.flatMap((file) => [dirname(file), dirname(realPath(file))])]);
  return [...folders].filter((path) => inodeAt(path) !== null);
}

/**
 * Waits until bubblewrap has made its mounts.
 * @returns the first process of the namespaces; null when it has ended
 */
export async function untilMounted(pid: number, isOver: () => boolean): Promise<number | null> {
  while (!isOver()) {
    const [first] = childrenOf(pid);
    if (first !== undefined && BLOCKED.test(text(`/proc/${first}/syscall`))) return first;
    await delay(POLL_MS);
  }
  return null;
}

const replaced = (program: string, path: string): StackwardenError =>
  new StackwardenError(
    "POLICY_VIOLATION",
    `${program} was not started: ${path} was replaced by another folder or a link while it started.`,
    { hint: "Find out which program replaces it, then start it again.", details: { path } },
  );

/** @throws POLICY_VIOLATION when a mount is not what the arguments of bubblewrap describe */
export function verifyMounts(first: number, program: string, { system, pins, targets }: SandboxCheck): void {
  const root = `/proc/${first}/root`;
  const mounts = mountsOf(first);
  const own = mountsOf("self");
  for (const path of system) {
    const inode = inodeAt(path);
    if (inode !== null && !same(inodeAt(path, root), inode)) throw replaced(program, path);
  }
  for (const path of mounts.keys()) {
    if (own.has(path) || targets.includes(path)) continue;
    if (system.some((folder) => isBeneath(folder, path))) throw replaced(program, path);
  }
  for (const { target, inode, orMachines } of pins) {
    if (inode === null) {
      if (mounts.get(target) !== "tmpfs") throw replaced(program, target);
      continue;
    }
    const present = inodeAt(target, root);
    if (same(present, inode)) continue;
    const machines = orMachines === true ? inodeAt(target) : null;
    if (present === null || !same(machines, present)) throw replaced(program, target);
  }
}
