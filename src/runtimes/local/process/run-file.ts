/**
 * What of this server runs: groups and cgroups, told to the watchdog as they come and go, and written to a file for
 * the case that both are killed.
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
  /** Its start; null where the platform tells none. */
  started: string | null;
  /** Directories of its cgroup; none where there are no cgroups, or it is in another entry's. */
  directories: string[];
  /** Its own user, which ends with it; null where services run as the server's user. */
  uid?: number | null;
}

/** Where process ids mean what they mean. */
export interface Place {
  /** The boot's id; null where the platform tells none. */
  boot: string | null;
  /** The namespace of process ids: containers may share a state directory. */
  namespace: string | null;
}

export interface RunFile {
  /** The server. */
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
 * Ends everything of an entry, also what left its group and cgroup, and removes its cgroup. A group whose id now belongs
 * to another process is left alone.
 * @param certain true when no time has passed in which ids could have been used again
 * @param inUse users whose services a living server runs by now
 */
export async function endEntry(entry: RunEntry, certain: boolean, inUse: ReadonlySet<number>): Promise<void> {
  const now = startTime(entry.pid);
  if (now !== null && entry.started !== null) {
    if (now === entry.started) killGroup(entry.pid);
  } else if (certain || (entry.started !== null && entry.directories.length === 0)) {
    // A leader that is gone leaves its id to its group as long as that has members. The cgroup knows it better.
    killGroup(entry.pid);
  }
  await endCgroup(entry.directories);
  const { uid } = entry;
  if (typeof uid !== "number" || inUse.has(uid) || (await endUser(uid))) return;
  throw new Error(`processes of user ${uid} cannot be ended`);
}

/**
 * Users of what the other living servers of the same state directory run: one may have started a service again.
 * @param own the run file of the server whose processes end; a server that has just ended can still look alive
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
      // Removed meanwhile, or damaged: the sweep reports it.
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

/** What became of a file's server. `elsewhere`: its ids mean nothing here; `rebooted`: nothing of it can be left. */
export function ownerStatus(file: RunFile, at: Place = hostIdentity()): "lives" | "elsewhere" | "rebooted" | "dead" {
  if (file.place.boot !== at.boot) return "rebooted";
  if (file.place.namespace !== at.namespace) return "elsewhere";
  return isAlive(file.pid, file.started) ? "lives" : "dead";
}
