/** Folders and files of the state tree, with their owners. Only the server can change the folders above them. */
import { randomBytes } from "node:crypto";
import { lstat, mkdir, open, rename, rm, symlink } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { StackwardenError } from "../../../errors.js";
import { statBeneath } from "../../../system/read-regular-file.js";
import { realPath } from "../../../system/real-path.js";
import { isRootServer } from "../../../system/root-server.js";
import type { ServiceUser } from "../types.js";
import { Folder } from "./folder.js";
import { claimTree } from "./own-tree.js";
import { removeTree } from "./remove-tree.js";
import { codeOf, withStorage } from "./storage.js";

type Owner = Pick<ServiceUser, "uid" | "gid">;

/**
 * Creates a folder with this mode and owner, or corrects those of an existing one. A link at this path is rejected.
 * @throws STORAGE_FAILED
 */
export async function ensureDir(path: string, mode: number, user?: Owner): Promise<string> {
  await withStorage(`Making ${path}`, async () => {
    await mkdir(dirname(path), { recursive: true, mode: 0o711 });
    await mkdir(path, { mode }).catch((error: unknown) => {
      if (codeOf(error) !== "EEXIST") throw error;
    });
    const folder = await Folder.open(path).catch((error: unknown) => {
      if (!["ENOTDIR", "ELOOP"].includes(codeOf(error))) throw error;
      throw new StackwardenError("STORAGE_FAILED", `${path} is not a directory.`, {
        hint: "A directory in the state directory was replaced by something else: remove it, then call again.",
      });
    });
    try {
      const { stats } = folder;
      const owner = user ?? { uid: 0, gid: 0 };
      if (isRootServer() && (stats.uid !== owner.uid || stats.gid !== owner.gid))
        await folder.chown(owner.uid, owner.gid);
      if ((stats.mode & 0o7777) !== mode) await folder.chmod(mode);
    } finally {
      await folder.close();
    }
  });
  return path;
}

/**
 * Writes a file that only `user` can read. It is created again each time, so that a link or the mode of an older file
 * has no effect.
 */
export async function writePrivateFile(path: string, content: string | Uint8Array, user?: Owner): Promise<string> {
  await withStorage(`Writing ${path}`, async () => {
    const fresh = `${path}.${randomBytes(6).toString("hex")}`;
    const file = await open(fresh, "wx", 0o600);
    try {
      try {
        await file.writeFile(content);
        await file.sync();
        if (user !== undefined && isRootServer()) await file.chown(user.uid, user.gid);
      } finally {
        await file.close();
      }
      await rename(fresh, path);
    } catch (error) {
      await rm(fresh, { force: true });
      throw error;
    }
  });
  return path;
}

/**
 * Names in a folder that belongs to the server.
 * @throws STORAGE_FAILED
 */
export async function namesIn(path: string): Promise<string[]> {
  return withStorage(`Reading ${path}`, async () => {
    const folder = await Folder.open(path);
    try {
      return (await folder.names()).map((name) => name.toString());
    } finally {
      await folder.close();
    }
  });
}

export interface Owned {
  uid: number;
  gid: number;
  /** Permission bits. */
  mode: number;
  isFolder: boolean;
  /** Time of the last change of the content, in epoch milliseconds. */
  changedAt: number;
}

/**
 * Owner and kind of an entry that only the server can replace.
 * @returns null when it is missing
 */
export async function ownerOf(path: string): Promise<Owned | null> {
  return withStorage(`Reading ${path}`, async () => {
    const stats = await lstat(path).catch((error: unknown) => {
      if (codeOf(error) === "ENOENT") return null;
      throw error;
    });
    if (stats === null) return null;
    return {
      uid: stats.uid,
      gid: stats.gid,
      mode: stats.mode & 0o7777,
      isFolder: stats.isDirectory(),
      changedAt: stats.mtimeMs,
    };
  });
}

/** Moves a finished tree to its place. Only the server may change the parent folders of both paths. */
export const moveInto = (from: string, to: string): Promise<void> =>
  withStorage(`Moving ${to} into its place`, () => rename(from, to));

/**
 * Prepares the private folders of one service, both 0700: `home` is kept, `tmp` is emptied at every start. Password
 * files of earlier instances, and temporary files of a killed server, are removed too: each start writes its own.
 */
export async function privateDirs(
  stateDir: string,
  service: string,
  user: ServiceUser,
): Promise<{ base: string; home: string; tmp: string }> {
  await ensureDir(join(stateDir, "run"), 0o711);
  const base = await ensureDir(join(stateDir, "run", service), 0o711);
  const home = join(base, "home");
  const owner = await ownerOf(home);
  // The service has another user than before: what that one left there belongs to the service.
  if (isRootServer() && owner !== null && owner.uid !== user.uid)
    await withStorage("Changing the owner of a home folder", () => claimTree(home, user));
  await ensureDir(home, 0o700, user);
  for (const name of await namesIn(base)) if (name !== "home") await removeTree(join(base, name), stateDir);
  const tmp = await ensureDir(join(base, "tmp"), 0o700, user);
  return { base, home, tmp };
}

/**
 * Adds a folder of links to a copy that other users cannot enter yet. The parent of the folder is resolved inside the
 * copy.
 * @throws STORAGE_FAILED when the parent is not a folder of the copy
 */
export async function linkInCopy(
  copy: string,
  at: string,
  targets: ReadonlyMap<string, string>,
  user: Owner,
): Promise<void> {
  const parent = statBeneath(dirname(at), realPath(copy));
  if (parent?.kind !== "folder")
    throw new StackwardenError("STORAGE_FAILED", `${dirname(at)} changed while it was copied.`, {
      hint: "Call again when the project's folder no longer changes.",
    });
  const path = join(parent.path, basename(at));
  await mkdir(path, { mode: 0o700 });
  for (const [name, target] of targets) await symlink(target, join(path, name));
  await openToOwner(path, user);
}

/** Gives one folder, without its content, to its user. Until then, only the server may replace it. */
export async function openToOwner(path: string, user: Owner): Promise<void> {
  if (!isRootServer()) return;
  const folder = await Folder.open(path);
  try {
    await folder.chown(user.uid, user.gid);
  } finally {
    await folder.close();
  }
}

/** Sets mode, owner and group of one folder. */
export const restrict = (path: string, mode: number, owner: Owner): Promise<void> =>
  withStorage(`Changing ${path}`, async () => {
    const folder = await Folder.open(path);
    try {
      const { stats } = folder;
      if (stats.uid !== owner.uid || stats.gid !== owner.gid) await folder.chown(owner.uid, owner.gid);
      if ((stats.mode & 0o7777) !== mode) await folder.chmod(mode);
    } finally {
      await folder.close();
    }
  });
