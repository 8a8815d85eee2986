/**
 * The running process groups and cgroups of this server. They are reported to the watchdog as they come and go, and
 * written to a file in case both processes are killed.
 */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { isAlive, startTime } from "../../../system/process-identity.js";
import { endCgroup } from "./cgroup.js";
import { endUser } from "./end-user.js";
import { killGroup } from "./launch.js";

export interface RunEntry {
  /** Leader of the process group. */
  pid: number;
  /** Start time of the leader; null on platforms that do not report it. */
  started: string | null;
  /** Directories of its cgroup; empty without cgroups, or when another entry has the cgroup. */
  directories: string[];
  /** The separate user of the service, whose processes all end with it; null when services run as the server's user. */
  uid?: number | null;
}

/** Where process ids are valid. */
export interface Place {
  /** Boot id; null on platforms that do not report it. */
  boot: string | null;
  /** PID namespace: containers can share a state directory. */
  namespace: string | null;
}

export interface RunFile {
  /** Process id of the server. */
  pid: number;
  started: string | null;
  place: Place;
  entries: RunEntry[];
}

const orNull = (get: () => string): string | null => {
  try {
    return get().trim();
  } catch {
    return null;
  }
};

export const hostIdentity = (): Place => ({
  boot: orNull(() => readFileSync("/proc/sys/kernel/random/boot_id", "utf8")),
  namespace: orNull(() => readlinkSync("/proc/self/ns/pid")),
});

/**
 * Ends all processes of an entry, including those that left its group and cgroup, and removes its cgroup. Leaves a
 * group alone whose id now belongs to another process.
 * @param certain true when ids cannot have been reused since the entry was written
 * @param inUse users whose services a live server runs now
 */
export async function endEntry(entry: RunEntry, certain: boolean, inUse: ReadonlySet<number>): Promise<void> {
  const now = startTime(entry.pid);
  if (now !== null && entry.started !== null) {
    if (now === entry.started) killGroup(entry.pid);
  } else if (certain || (entry.started !== null && entry.directories.length === 0)) {
    // The id of a dead leader stays reserved while its group has members. The cgroup is the more reliable source.
    killGroup(entry.pid);
  }
  await endCgroup(entry.directories);
  const { uid } = entry;
  if (typeof uid !== "number" || inUse.has(uid) || (await endUser(uid))) return;
  throw new Error(`processes of user ${uid} cannot be ended`);
}

/**
 * Users of the processes that other live servers of the same state directory run: one of them may have started a
 * service again.
 * @param own the run file of the server whose processes are ended; a server that has just ended can still look alive
 */
export function usersInUse(own: string): ReadonlySet<number> {
  const folder = dirname(own);
  const uids = new Set<number>();
  for (const name of listed(folder)) {
    if (!/^\d+\.json$/.test(name) || name === basename(own)) continue;
    try {
      const file = JSON.parse(readFileSync(join(folder, name), "utf8")) as RunFile;
      if (ownerStatus(file) === "lives") for (const { uid } of file.entries) if (typeof uid === "number") uids.add(uid);
    } catch {
      // The file was removed meanwhile, or is damaged, which the sweep reports.
    }
  }
  return uids;
}

const listed = (folder: string): string[] => {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
};

/**
 * State of the server of a run file. `elsewhere`: its process ids are not valid here; `rebooted`: none of its processes
 * can exist.
 */
export function ownerStatus(file: RunFile, at: Place = hostIdentity()): "lives" | "elsewhere" | "rebooted" | "dead" {
  if (file.place.boot !== at.boot) return "rebooted";
  if (file.place.namespace !== at.namespace) return "elsewhere";
  return isAlive(file.pid, file.started) ? "lives" : "dead";
}
