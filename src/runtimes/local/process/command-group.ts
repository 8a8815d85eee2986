/** The processes of one command inside an instance's cgroup, including those that left its process group. */
import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type Cgroup, endCgroup } from "./cgroup.js";

export interface CommandGroup {
  /**
   * Files that move a process into the instance's cgroup and this group: the process writes its id into all of them.
   */
  procsFiles: string[];
  /** Kills the remaining processes and removes the group. */
  end(): Promise<void>;
}

/** One hierarchy is enough to find processes; in the others they stay in the instance's own directory. */
export async function openCommandGroup(
  cgroup: Pick<Cgroup, "directories" | "procsFiles">,
  name: string,
): Promise<CommandGroup> {
  const parent = cgroup.directories.at(-1);
  if (parent === undefined) return { procsFiles: cgroup.procsFiles, end: async () => undefined };
  const directory = join(parent, name);
  await mkdir(directory);
  return {
    procsFiles: [...cgroup.procsFiles.filter((file) => dirname(file) !== parent), join(directory, "cgroup.procs")],
    end: () => endCgroup([directory]),
  };
}
