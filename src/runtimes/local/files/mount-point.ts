/** Empty folders of a project at which a service sees other folders. */
import { mkdir, readFile, rmdir } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { StackwardenError } from "../../../errors.js";
import { atomicWrite } from "../../../system/atomic-write.js";
import { Mutex } from "../../../system/mutex.js";
import { closeBeneath, openBeneath } from "../../../system/open-beneath.js";
import { statBeneath } from "../../../system/read-regular-file.js";
import { isRootServer } from "../../../system/root-server.js";
import { Folder } from "./folder.js";
import { codeOf, withStorage } from "./storage.js";

interface MountPoint {
  path: string;
  /** The project's folder. */
  within: string;
}

/** Services start in parallel. */
const recording = new Mutex();
const recordOf = (stateDir: string): string => join(stateDir, "mount-points.json");

async function recorded(stateDir: string): Promise<MountPoint[]> {
  try {
    return JSON.parse(await readFile(recordOf(stateDir), "utf8")) as MountPoint[];
  } catch {
    return [];
  }
}

const record = (stateDir: string, one: MountPoint): Promise<void> =>
  recording.run(async () => {
    const others = (await recorded(stateDir)).filter(({ path }) => path !== one.path);
    await atomicWrite(recordOf(stateDir), JSON.stringify([...others, one]), 0o600, false);
  });

/** Undefined also for a path that leads out of the project. */
function folderBeneath(path: string, within: string): ReturnType<typeof openBeneath> {
  try {
    return openBeneath(path, within);
  } catch {
    return undefined;
  }
}

/** Removes the folders that `ensureMountPoint` created for a project and that are empty. */
export async function removeMountPoints(stateDir: string): Promise<void> {
  const records = (await recorded(stateDir)).sort((one, other) => other.path.length - one.path.length);
  for (const { path, within } of records) {
    const parent = folderBeneath(dirname(path), within);
    if (parent === undefined) continue;
    try {
      // A link took the place of a folder above.
      if (parent.real !== dirname(path)) continue;
      const folder = await Folder.open(parent.fd < 0 ? parent.real : `/proc/self/fd/${parent.fd}/.`);
      // It has content, or is not there.
      await rmdir(folder.at(basename(path))).catch(() => undefined);
      await folder.close();
    } finally {
      closeBeneath(parent);
    }
  }
}

/**
 * Creates the folder when it is missing; it then belongs to the owner of the folder above it.
 * @param within the project's folder
 * @param stateDir the project's part of the state directory, which records it
 * @returns the folder's path
 * @throws STORAGE_FAILED when something else has the name, or the folder above it leads outside of the project
 */
export async function ensureMountPoint(
  parent: string,
  name: string,
  within: string,
  stateDir: string,
): Promise<string> {
  const path = join(parent, name);
  await withStorage(`Making ${path}`, async () => {
    const beneath = openBeneath(parent, within);
    if (beneath === undefined)
      throw new StackwardenError("STORAGE_FAILED", `${parent} does not exist.`, {
        hint: "Create it, then call again.",
      });
    try {
      const { stats } = beneath;
      const folder = await Folder.open(beneath.fd < 0 ? beneath.real : `/proc/self/fd/${beneath.fd}/.`);
      try {
        await mkdir(folder.at(name), { mode: 0o755 });
        await record(stateDir, { path, within });
        if (!isRootServer()) return;
        const created = await folder.folder(name);
        try {
          await created.chown(stats.uid, stats.gid);
        } finally {
          await created.close();
        }
      } catch (error) {
        if (codeOf(error) !== "EEXIST") throw error;
      } finally {
        await folder.close();
      }
    } finally {
      closeBeneath(beneath);
    }
  });
  const entry = statBeneath(path, within);
  if (entry?.kind === "folder" && entry.path === path) return path;
  throw new StackwardenError("STORAGE_FAILED", `${path} is not a folder.`, {
    hint: `Remove it: the installed packages take its place.`,
  });
}
