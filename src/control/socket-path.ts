/** Where a project's control socket is: in the project's part of the state directory, else in a folder of this user. */
import { dirname, join } from "node:path";
import { ensureTraversableDir } from "../system/atomic-write.js";
import { makePrivateFolder, requirePrivateFolder, socketPath } from "../system/private-socket.js";

const inside = (stateDir: string, project: string): string => join(stateDir, "projects", project, "control.sock");

export const controlSocket = (stateDir: string, project: string): string =>
  socketPath("", `${stateDir}\0${project}`, [inside(stateDir, project)]);

/**
 * Whether a socket there can be trusted; false while there is no folder for one.
 * @throws StackwardenError STORAGE_FAILED when somebody else made the folder
 */
export async function trusted(stateDir: string, project: string): Promise<boolean> {
  const path = controlSocket(stateDir, project);
  return path === inside(stateDir, project) || requirePrivateFolder(dirname(path));
}

/** @throws StackwardenError STORAGE_FAILED when it cannot be made, or somebody else made it */
export async function makeControlFolder(stateDir: string, project: string): Promise<void> {
  const path = controlSocket(stateDir, project);
  if (path === inside(stateDir, project)) await ensureTraversableDir(dirname(path));
  else if (process.platform !== "win32") await makePrivateFolder(dirname(path));
}
