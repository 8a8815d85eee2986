/** Empty folders of a project at which a service sees other folders. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { StackwardenError } from "../../../errors.js";
import { closeBeneath, openBeneath } from "../../../system/open-beneath.js";
import { statBeneath } from "../../../system/read-regular-file.js";
import { Folder } from "./folder.js";
import { codeOf, isRootServer, withStorage } from "./storage.js";

/**
 * Creates the folder when it is missing; it then belongs to the owner of the folder above it.
 * @param within the project's folder
 * @returns the folder's path
 * @throws STORAGE_FAILED when something else has the name, or the folder above it leads outside of the project
 */
export async function ensureMountPoint(parent: string, name: string, within: string): Promise<string> {
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
        if (!isRootServer()) return;
        const made = await folder.folder(name);
        try {
          await made.chown(stats.uid, stats.gid);
        } finally {
          await made.close();
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
