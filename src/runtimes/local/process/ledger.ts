/**
 * What of this server runs: groups and cgroups, told to the watchdog as they come and go, and written to a file for
 * the case that both are killed.
 */
import { isAlive, startTime } from "../../../stack/process-identity.js";
import { endCgroup } from "./cgroup.js";
import { killGroup } from "./launch.js";

export interface RunEntry {
  /** Leader of the process group. */
  pid: number;
  /** Its start; null where the platform tells none. */
  started: string | null;
  /** Directories of its cgroup; none where there are no cgroups, or it is in another entry's. */
  directories: string[];
}

export interface RunFile {
  /** The server. */
  pid: number;
  started: string | null;
  entries: RunEntry[];
}

/**
 * Ends everything of an entry and removes its cgroup. A group whose id now belongs to another process is left alone.
 * @param certain true when no time has passed in which ids could have been used again
 */
export async function endEntry(entry: RunEntry, certain: boolean): Promise<void> {
  const now = startTime(entry.pid);
  const same = now === null || entry.started === null ? certain : now === entry.started;
  // A leader that is gone leaves its id to its group as long as that has members.
  const leaderGone = now === null && entry.started !== null;
  if (same || leaderGone) killGroup(entry.pid);
  await endCgroup(entry.directories);
}

export const serverLives = (file: RunFile): boolean => isAlive(file.pid, file.started);
