/** Checks the access of another user to a path, by the permission bits of every component. */
import { access, constants, stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { isBeneath } from "../../../system/is-beneath.js";
import { isRootServer } from "../../../system/root-server.js";
import type { ServiceUser } from "../types.js";

const READ = constants.R_OK;
const EXECUTE = constants.X_OK;

async function allows(path: string, user: ServiceUser, bits: number): Promise<boolean> {
  const { uid, gid, mode } = await stat(path);
  const mine = uid === user.uid ? mode >> 6 : gid === user.gid ? mode >> 3 : mode;
  return (mine & bits) === bits;
}

/** The outermost folder of a path that exists and that the user cannot enter; null when there is none. */
export async function firstClosedFolder(path: string, user: ServiceUser): Promise<string | null> {
  const folders = [resolve(path)];
  for (let folder = dirname(resolve(path)); folder !== folders[0]; folder = dirname(folder)) folders.unshift(folder);
  for (const folder of folders) {
    const isOpen = isRootServer() ? allows(folder, user, EXECUTE) : access(folder, EXECUTE).then(() => true);
    if (!(await isOpen.catch((error: NodeJS.ErrnoException) => error.code !== "EACCES"))) return folder;
  }
  return null;
}

/**
 * Whether the user can enter every folder above `path` and read it (a folder: read and enter) or execute it. Access
 * control lists are ignored: where one would grant more, the result is false.
 */
export async function accessible(
  path: string,
  user: ServiceUser,
  mode: "read" | "execute",
  /** The outermost folder that counts. Default: all. */
  from?: string,
): Promise<boolean> {
  const full = resolve(path);
  const bits = mode === "read" ? READ : EXECUTE;
  try {
    const isFolder = (await stat(full)).isDirectory();
    if (!isRootServer()) {
      await access(full, isFolder ? bits | EXECUTE : bits);
      return true;
    }
    if (!(await allows(full, user, isFolder ? bits | EXECUTE : bits))) return false;
    for (let folder = dirname(full); from === undefined || isBeneath(from, folder); folder = dirname(folder)) {
      if (!(await allows(folder, user, EXECUTE))) return false;
      if (folder === dirname(folder)) return true;
    }
    return true;
  } catch {
    return false;
  }
}
