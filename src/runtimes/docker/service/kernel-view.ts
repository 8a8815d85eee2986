/** Reads the user and the limits of a container from this machine's kernel, when the engine runs on the same kernel. */
import { readdir, readFile } from "node:fs/promises";

/** The trimmed content of a file; null when it cannot be read. */
export const text = (path: string): Promise<string | null> =>
  readFile(path, "utf8").then(
    (content) => content.trim(),
    () => null,
  );

/** Kernels represent "unlimited" as a number near 2^63. */
const UNLIMITED = 2 ** 60;

const limit = (value: string | null | undefined): number | null => {
  const number = value === null || value === undefined || value === "max" ? Number.NaN : Number(value);
  return Number.isFinite(number) && number >= 0 && number < UNLIMITED ? number : null;
};

export interface KernelUser {
  uid: number;
  noNewPrivileges: boolean;
}

export interface KernelLimits {
  version: 1 | 2;
  memoryBytes: number | null;
  cpus: number | null;
  pids: number | null;
}

/**
 * Checks that a process belongs to the container: an id from another machine can belong to any process here.
 * @returns its lines of /proc/<pid>/cgroup; null when it does not belong to the container
 */
export async function groups(pid: number, container: string, proc: string): Promise<string | null> {
  const lines = pid > 0 ? await text(`${proc}/${pid}/cgroup`) : null;
  return lines?.includes(container) === true ? lines : null;
}

/** Whether the process belongs to the container. */
export const belongsTo = async (pid: number, container: string, proc = "/proc"): Promise<boolean> =>
  (await groups(pid, container, proc)) !== null;

/** Maps a user id to the one inside the container: a user namespace has other ids outside. */
async function insideUid(pid: number, uid: number, proc: string): Promise<number> {
  for (const line of (await text(`${proc}/${pid}/uid_map`))?.split("\n") ?? []) {
    const [inside = 0, outside = 0, count = 0] = line.trim().split(/\s+/).map(Number);
    if (uid >= outside && uid < outside + count) return inside + uid - outside;
  }
  return uid;
}

/** @param proc the process file system; tests pass another one */
export async function kernelUser(pid: number, container: string, proc = "/proc"): Promise<KernelUser | null> {
  if ((await groups(pid, container, proc)) === null) return null;
  const status = (await text(`${proc}/${pid}/status`)) ?? "";
  const uid = /^Uid:\s+\d+\s+(\d+)/m.exec(status)?.[1];
  if (uid === undefined) return null;
  return { uid: await insideUid(pid, Number(uid), proc), noNewPrivileges: /^NoNewPrivs:\s+1$/m.test(status) };
}

/**
 * Path of a group from the lines of /proc/<pid>/cgroup.
 * @param controller empty for the unified hierarchy of version 2
 */
export function parseCgroup(lines: string, controller: string): string | null {
  for (const line of lines.split("\n")) {
    const [id, names = "", ...rest] = line.split(":");
    if (controller === "" ? id === "0" && names === "" : names.split(",").includes(controller)) return rest.join(":");
  }
  return null;
}

/** @param root root of the cgroup hierarchies; tests pass another one, as for `proc` */
export async function kernelLimits(
  pid: number,
  container: string,
  root = "/sys/fs/cgroup",
  proc = "/proc",
): Promise<KernelLimits | null> {
  const lines = await groups(pid, container, proc);
  if (lines === null) return null;
  const place = (controller: string): string | null => parseCgroup(lines, controller);
  const memory = place("memory");
  if (memory !== null) {
    const at = (controller: string, file: string): Promise<string | null> => {
      const path = place(controller);
      return path === null ? Promise.resolve(null) : text(`${root}/${controller}${path}/${file}`);
    };
    const [bytes, quota, period, pids] = await Promise.all([
      at("memory", "memory.limit_in_bytes"),
      at("cpu", "cpu.cfs_quota_us"),
      at("cpu", "cpu.cfs_period_us"),
      at("pids", "pids.max"),
    ]);
    if (bytes === null) return null;
    const used = limit(quota);
    return {
      version: 1,
      memoryBytes: limit(bytes),
      cpus: used === null ? null : used / (limit(period) ?? 100_000),
      pids: limit(pids),
    };
  }
  const unified = place("");
  if (unified === null) return null;
  const read = (file: string): Promise<string | null> => text(`${root}${unified}/${file}`);
  const [bytes, cpu, pids] = await Promise.all([read("memory.max"), read("cpu.max"), read("pids.max")]);
  if (bytes === null) return null;
  const [quota, period] = (cpu ?? "max").split(" ");
  const used = limit(quota);
  return {
    version: 2,
    memoryBytes: limit(bytes),
    cpus: used === null ? null : used / (limit(period) ?? 100_000),
    pids: limit(pids),
  };
}

/**
 * Process ids of a container, from its control group, which a process without privileges cannot leave.
 * @returns null when the group cannot be read, or has groups below it, whose processes it does not list
 */
export async function containerPids(
  pid: number,
  container: string,
  root = "/sys/fs/cgroup",
  proc = "/proc",
): Promise<number[] | null> {
  const lines = await groups(pid, container, proc);
  if (lines === null) return null;
  const controller = parseCgroup(lines, "pids") === null ? "" : "pids";
  const folder = `${root}/${controller}${parseCgroup(lines, controller) ?? ""}`;
  if (!folder.includes(container)) return null;
  const [listed, entries] = await Promise.all([
    text(`${folder}/cgroup.procs`),
    readdir(folder, { withFileTypes: true }).catch(() => null),
  ]);
  if (listed === null || entries === null || entries.some((entry) => entry.isDirectory())) return null;
  return listed.split("\n").map(Number);
}
