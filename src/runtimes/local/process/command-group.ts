/** The processes of one command inside an instance's cgroup: what left its process group is ended with it. */
import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type Cgroup, endCgroup } from "./cgroup.js";

export interface CommandGroup {
  /** A process that writes its id into all of them is in the instance's cgroup and in this group. */
  procsFiles: string[];
  /** Kills what is left and removes the group. */
  end(): Promise<void>;
}

/** One hierarchy is enough to find processes; in the others they stay directly in the instance's own directory. */
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
