/**
 * Where a service's namespaces can show a folder at a path that this machine may not have. bubblewrap creates missing
 * mount points on the machine itself; therefore the folder above is replaced by a copy of it in memory, in which its
 * entries are mounted.
 */
import { lstatSync, readdirSync, readlinkSync, statSync } from "node:fs";
import { dirname, join, normalize, relative, sep } from "node:path";
import { isBeneath } from "../../../system/is-beneath.js";
import { followTrusted } from "../../../system/trusted-path.js";

/** More entries would slow down every start. */
const MOST_ENTRIES = 128;
/**
 * Where the gate's programs, their libraries and the account data that they read come from. In the service's namespaces
 * setpriv still runs as root: with a library from a volume, it would run the service's code as root. The rest are file
 * systems of the kernel.
 */
const SYSTEM =
  /^\/(?:bin|sbin|lib(?:x?32|64)?|etc|usr(?!\/src(?:\/|$))|run|var\/run|var\/lib\/extrausers|boot|nix|gnu|proc|sys|dev)(?:\/|$)/;
/** Folders whose content programs need. */
const NEEDED = ["/", "/usr/src", "/var", "/var/lib"];

/** A folder whose content programs of the machine need. */
export const isSystem = (path: string): boolean => NEEDED.includes(path) || SYSTEM.test(path);

const isFolder = (path: string): boolean => {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
};

/**
 * @param target an absolute path in a container
 * @param needed folders and programs of this machine that the service needs
 * @param hidden folders that are empty in the namespaces, in which everything can be created
 * @returns the path without links at which the folder can be shown; null when it cannot
 */
export async function mountPlace(
  target: string,
  needed: readonly string[],
  hidden: readonly string[],
): Promise<string | null> {
  const path = normalize(target).replace(/(.)\/$/, "$1");
  if (!path.startsWith("/") || isSystem(path)) return null;
  if (needed.some((one) => isBeneath(path, one))) return null;
  if (hidden.some((one) => one !== path && isBeneath(one, path))) return path;
  const above = existing(path);
  try {
    const { real, reason } = await followTrusted(above, { uid: 0, gid: 0, end: "directory" });
    const place = join(real, relative(above, path));
    if (isSystem(place)) return null;
    if (above === path) return isFolder(real) ? place : null;
    return reason === null && readdirSync(real).length <= MOST_ENTRIES ? place : null;
  } catch {
    return null;
  }
}

/** The path, or the first folder above it that exists. */
export function existing(path: string): string {
  for (let at = path; ; at = dirname(at)) if (at === "/" || isFolder(at)) return at;
}

/** Arguments of bubblewrap that replace a folder by one in memory with the same entries. */
export function replaceFolder(folder: string, isReadOnly: boolean): string[] {
  const { mode } = statSync(folder);
  // The root of the namespaces is a file system in memory before anything is mounted.
  const args = folder === "/" ? [] : ["--perms", (mode & 0o7777).toString(8), "--tmpfs", folder];
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    if (path === "/proc" || path === "/dev") continue;
    if (lstatSync(path).isSymbolicLink()) args.push("--symlink", readlinkSync(path), path);
    else args.push(isReadOnly ? "--ro-bind-try" : "--bind-try", path, path);
  }
  return args;
}

/** The folders from `folder`, which exists, down to the one above `path`. */
export function foldersBetween(folder: string, path: string): string[] {
  const parts = relative(folder, dirname(path)).split(sep).filter(Boolean);
  return parts.map((_, at) => join(folder, ...parts.slice(0, at + 1)));
}
