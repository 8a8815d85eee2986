/** The path of a project's control socket: in the project's state folder, or in a private folder when that path is too long. */
import { dirname, join } from "node:path";
import { ensureTraversableDir } from "../system/atomic-write.js";
import { makePrivateFolder, requirePrivateFolder, socketPath } from "../system/private-socket.js";

const inside = (stateDir: string, project: string): string => join(stateDir, "projects", project, "control.sock");

export const controlSocket = (stateDir: string, project: string): string =>
  socketPath("", `${stateDir}\0${project}`, [inside(stateDir, project)]);

/**
 * Whether a socket at this path can be trusted; false when its folder does not exist.
 * @throws StackwardenError STORAGE_FAILED when another user created the folder
 */
export async function trusted(stateDir: string, project: string): Promise<boolean> {
  const path = controlSocket(stateDir, project);
  return path === inside(stateDir, project) || requirePrivateFolder(dirname(path));
}

/** @throws StackwardenError STORAGE_FAILED when the folder cannot be created or belongs to another user */
export async function makeControlFolder(stateDir: string, project: string): Promise<void> {
  const path = controlSocket(stateDir, project);
  if (path === inside(stateDir, project)) await ensureTraversableDir(dirname(path));
  else if (process.platform !== "win32") await makePrivateFolder(dirname(path));
}
