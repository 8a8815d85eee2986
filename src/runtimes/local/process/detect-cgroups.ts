/** Looks for cgroups this process may make: found by trying, never assumed. */
import { access, constants, mkdir, rmdir } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { type CgroupFactory, read, write } from "./cgroup.js";
import { V1Factory, type V1Parents } from "./cgroup-v1.js";
import { type V2Controller, V2Factory } from "./cgroup-v2.js";

export interface FindOptions {
  /** Default /proc. */
  procRoot?: string;
  /** Put before every mount point of the table, for tests. Default none. */
  cgroupRoot?: string;
  pid?: number;
}

interface Mount {
  point: string;
  /** Which part of the hierarchy the mount shows. */
  root: string;
  type: string;
  options: string[];
}

const LEAF = "stackwarden-server";
const CONTROLLERS: V2Controller[] = ["memory", "cpu", "pids"];

/** Spaces in /proc/self/mountinfo are written as \040. */
const unescapePath = (text: string): string =>
  text.replace(/\\([0-7]{3})/g, (_, code: string) => String.fromCharCode(Number.parseInt(code, 8)));

function parseMounts(text: string, prefix: string): Mount[] {
  const mounts: Mount[] = [];
  for (const line of text.split("\n")) {
    const [left = "", right = ""] = line.split(" - ");
    const [type = "", , options = ""] = right.split(" ");
    const [, , , root = "/", point = ""] = left.split(" ");
    if (type === "cgroup" || type === "cgroup2")
      mounts.push({ type, root: unescapePath(root), point: prefix + unescapePath(point), options: options.split(",") });
  }
  return mounts;
}

/** Our own directory in a hierarchy; the mount's own one when ours is not in sight (another namespace). */
async function ownDirectory(mount: Mount, path: string): Promise<string> {
  const shown = mount.root !== "/" && `${path}/`.startsWith(`${mount.root}/`);
  const way = shown ? path.slice(mount.root.length) : path;
  const own = join(mount.point, way);
  return (await read(own, "cgroup.procs")) === null ? mount.point : own;
}

/** Makes and removes a directory. */
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

/** A directory that can be made but whose limits cannot be set is no use. */
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
  // Counting alone limits nothing.
  const useful = parents.memory !== undefined || parents.cpu !== undefined || parents.pids !== undefined;
  return useful ? new V1Factory(parents) : null;
}

/** Turns on for children what can be turned on. @returns what children have */
async function enable(directory: string): Promise<Set<V2Controller>> {
  const available = (await read(directory, "cgroup.controllers"))?.split(/\s+/) ?? [];
  for (const controller of CONTROLLERS) {
    const on = (await read(directory, "cgroup.subtree_control"))?.split(/\s+/) ?? [];
    if (available.includes(controller) && !on.includes(controller))
      // EBUSY: it holds processes itself. The others may be on already.
      await write(directory, "cgroup.subtree_control", `+${controller}`).catch(() => undefined);
  }
  const on = (await read(directory, "cgroup.subtree_control"))?.split(/\s+/) ?? [];
  return new Set(CONTROLLERS.filter((controller) => on.includes(controller)));
}

async function findV2(mount: Mount, path: string, pid: number): Promise<CgroupFactory | null> {
  const at = await ownDirectory(mount, path);
  // An earlier look of this process moved it there.
  const own = basename(at) === LEAF ? dirname(at) : at;
  for (let directory = own; directory.startsWith(mount.point); directory = dirname(directory)) {
    if (!(await writable(directory, "cgroup.procs")) || !(await canMake(directory, pid))) continue;
    let controllers = await enable(directory);
    if (controllers.size === 0 && directory === own && (await aloneIn(own, pid))) {
      // A group with processes of its own cannot pass controllers on: we move to a leaf of it.
      await makeLeaf(own, pid);
      controllers = await enable(directory);
    }
    if (controllers.size > 0) return new V2Factory(directory, controllers);
  }
  return null;
}

const aloneIn = async (directory: string, pid: number): Promise<boolean> =>
  (await read(directory, "cgroup.procs")) === String(pid);

async function makeLeaf(directory: string, pid: number): Promise<void> {
  const leaf = join(directory, LEAF);
  await mkdir(leaf, { recursive: true });
  await write(leaf, "cgroup.procs", pid);
}

export type Found = { factory: CgroupFactory; reason: null } | { factory: null; reason: string };

/** Never throws. */
export async function detectCgroups(options: FindOptions = {}): Promise<Found> {
  const { procRoot = "/proc", cgroupRoot = "", pid = process.pid } = options;
  const nothing = (reason: string): Found => ({ factory: null, reason });
  const [table, groups] = await Promise.all([read(procRoot, "self/mountinfo"), read(procRoot, "self/cgroup")]);
  if (table === null || groups === null) return nothing("this system has no cgroups");
  const mounts = parseMounts(table, cgroupRoot);
  if (mounts.length === 0) return nothing("no cgroup file system is mounted");
  const own = new Map<string, string>();
  let unified: string | undefined;
  for (const line of groups.split("\n")) {
    const [, names = "", ...path] = line.split(":");
    if (names === "") unified = path.join(":");
    else for (const name of names.split(",")) own.set(name, path.join(":"));
  }
  try {
    const v1 = await findV1(mounts, own, pid);
    if (v1 !== null) return { factory: v1, reason: null };
    const mount = mounts.find((one) => one.type === "cgroup2");
    const v2 = mount === undefined || unified === undefined ? null : await findV2(mount, unified, pid);
    if (v2 !== null) return { factory: v2, reason: null };
  } catch (error) {
    return nothing(`cgroups cannot be used: ${(error as Error).message}`);
  }
  return nothing(
    "no cgroup is writable for this user; start the server as root, or with `systemd-run --user --scope -p Delegate=yes`",
  );
}
