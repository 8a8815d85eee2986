/** Detects the cgroups that this process may create, by creating one. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { access, constants, mkdir, rmdir } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { unescapeMountPath } from "../../../system/kernel-file.js";
import { isRootServer } from "../../../system/root-server.js";
import { type CgroupFactory, endCgroup, read, write } from "./cgroup.js";
import { V1Factory, type V1Parents } from "./cgroup-v1.js";
import { enterDelegatedScope } from "./delegated-scope.js";
import { findV2 } from "./detect-cgroup-v2.js";

export interface FindOptions {
  /** Root of the proc file system. Default /proc. */
  procRoot?: string;
  /** Prefix of every mount point in the table, for tests. Default none. */
  cgroupRoot?: string;
  pid?: number;
}

interface Mount {
  point: string;
  /** The part of the hierarchy that the mount shows. */
  root: string;
  type: string;
  options: string[];
}

function parseMounts(text: string, prefix: string): Mount[] {
  const mounts: Mount[] = [];
  for (const line of text.split("\n")) {
    const [left = "", right = ""] = line.split(" - ");
    const [type = "", , options = ""] = right.split(" ");
    const [, , , root = "/", point = ""] = left.split(" ");
    if (type === "cgroup" || type === "cgroup2")
      mounts.push({
        type,
        root: unescapeMountPath(root),
        point: prefix + unescapeMountPath(point),
        options: options.split(","),
      });
  }
  return mounts;
}

/**
 * The directory of this process in a hierarchy; the mount point itself when that directory is not visible (another
 * namespace).
 */
async function ownDirectory(mount: Mount, path: string): Promise<string> {
  const mounted = mount.root !== "/" && `${path}/`.startsWith(`${mount.root}/`);
  const way = mounted ? path.slice(mount.root.length) : path;
  const own = join(mount.point, way);
  return (await read(own, "cgroup.procs")) === null ? mount.point : own;
}

/** Checks that a directory can be created and removed. */
async function canMake(parent: string, pid: number): Promise<boolean> {
  const probe = join(parent, `stackwarden-probe-${pid}`);
  try {
    await mkdir(probe);
    await rmdir(probe);
    return true;
  } catch {
    return false;
  }
}

/** A directory in which limits cannot be set is unusable. */
async function writable(directory: string, file: string): Promise<boolean> {
  return access(join(directory, file), constants.W_OK).then(
    () => true,
    () => false,
  );
}

async function findV1(mounts: Mount[], own: Map<string, string>, pid: number): Promise<CgroupFactory | null> {
  const parents: V1Parents = {};
  for (const controller of ["memory", "cpu", "cpuacct", "pids"] as const) {
    const mount = mounts.find((one) => one.type === "cgroup" && one.options.includes(controller));
    const path = own.get(controller);
    if (mount === undefined || path === undefined) continue;
    const directory = await ownDirectory(mount, path);
    if ((await writable(directory, "cgroup.procs")) && (await canMake(directory, pid))) parents[controller] = directory;
  }
  // A counter alone enforces nothing.
  const useful = parents.memory !== undefined || parents.cpu !== undefined || parents.pids !== undefined;
  return useful ? new V1Factory(parents) : null;
}

/**
 * Moves a process into a cgroup with limits: a directory that can be created may still accept no processes.
 * @returns the reason for a failure, or null
 */
async function trial(factory: CgroupFactory, pid: number): Promise<string | null> {
  const name = `stackwarden-trial-${pid}`;
  const child = spawn("/bin/sh", ["-c", "read line"], { stdio: ["pipe", "ignore", "ignore"], env: {}, cwd: "/" });
  try {
    await once(child, "spawn");
    const cgroup = await factory.create(name);
    await cgroup.setLimits({ memory_mb: 64, cpus: 1, pids: 16 });
    for (const file of cgroup.procsFiles) await write(dirname(file), basename(file), child.pid as number);
    return null;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? (error as Error).message;
  } finally {
    child.stdin?.on("error", () => undefined);
    child.kill("SIGKILL");
    await endCgroup(factory.directories(name), 1000).catch(() => undefined);
  }
}

export type Detection = { factory: CgroupFactory; reason: null } | { factory: null; reason: string };

/** Never throws. */
export async function detectCgroups(options: FindOptions = {}): Promise<Detection> {
  const nothing = (reason: string): Detection => ({ factory: null, reason });
  try {
    const detection = await look(options);
    // In a tree of plain files every move succeeds.
    if (detection.factory === null || options.procRoot !== undefined) return detection;
    const refused = await trial(detection.factory, options.pid ?? process.pid);
    return refused === null
      ? detection
      : nothing(`cgroups can be made here but take no process with limits: ${refused}`);
  } catch (error) {
    return nothing(`cgroups cannot be used: ${(error as Error).message}`);
  }
}

/** The path of this process in each hierarchy; `unified` for cgroup v2. */
async function ownPaths(procRoot: string): Promise<{ own: Map<string, string>; unified: string | undefined } | null> {
  const groups = await read(procRoot, "self/cgroup");
  if (groups === null) return null;
  const own = new Map<string, string>();
  let unified: string | undefined;
  for (const line of groups.split("\n")) {
    const [, names = "", ...path] = line.split(":");
    if (names === "") unified = path.join(":");
    else for (const name of names.split(",")) own.set(name, path.join(":"));
  }
  return { own, unified };
}

async function look({ procRoot = "/proc", cgroupRoot = "", pid = process.pid }: FindOptions): Promise<Detection> {
  const nothing = (reason: string): Detection => ({ factory: null, reason });
  const [table, paths] = await Promise.all([read(procRoot, "self/mountinfo"), ownPaths(procRoot)]);
  if (table === null || paths === null) return nothing("this system has no cgroups");
  const mounts = parseMounts(table, cgroupRoot);
  if (mounts.length === 0) return nothing("no cgroup file system is mounted");
  const v1 = await findV1(mounts, paths.own, pid);
  if (v1 !== null) return { factory: v1, reason: null };
  const mount = mounts.find((one) => one.type === "cgroup2");
  const present = async (): Promise<string | null> => (await ownPaths(procRoot))?.unified ?? null;
  const v2 = async (path: string | null): Promise<CgroupFactory | null> =>
    mount === undefined || path === null ? null : findV2(mount.point, await ownDirectory(mount, path), pid);
  const isOwnProcess = procRoot === "/proc" && pid === process.pid;
  const factory =
    (await v2(paths.unified ?? null)) ??
    (mount !== undefined && isOwnProcess && !isRootServer() && (await enterDelegatedScope(present))
      ? await v2(await present())
      : null);
  if (factory !== null) return { factory, reason: null };
  return nothing(
    "no cgroup of this user's is free for services; start the server as root, or with `systemd-run --user --scope -p Delegate=yes`",
  );
}
