/** Creates a folder of a project, with its missing parents, without leaving the project. */
import { chownSync, mkdirSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { closeBeneath, hasDescriptorPaths, openBeneath } from "./open-beneath.js";
import { isRootServer } from "./root-server.js";

export interface Owner {
  uid: number;
  gid: number;
}

/** Changes the owner of a folder that the server created, when the server is root. A link at the path is refused. */
export function giveFolderBeneath(path: string, within: string, { uid, gid }: Owner): void {
  if (!isRootServer() || !hasDescriptorPaths) return;
  const folder = openBeneath(path, within);
  if (folder === undefined) return;
  try {
    if (folder.stats.isDirectory()) chownSync(`/proc/self/fd/${folder.fd}`, uid, gid);
  } finally {
    closeBeneath(folder);
  }
}

/**
 * Creates the folder when nothing exists at its path. New folders have the mode 0755 and the owner of the folder above.
 * @param path absolute, below `within`
 * @returns the created folders, outermost first; empty when the path exists
 * @throws UnsafePathError, the file system's error
 */
export function makeFolderBeneath(path: string, within: string): string[] {
  const existing = openBeneath(path, within);
  if (existing !== undefined) {
    closeBeneath(existing);
    return [];
  }
  const above = makeFolderBeneath(dirname(path), within);
  const parent = openBeneath(dirname(path), within);
  if (parent === undefined) return above;
  try {
    const { uid, gid } = parent.stats;
    const at = hasDescriptorPaths ? `/proc/self/fd/${parent.fd}` : parent.real;
    mkdirSync(join(at, basename(path)), { mode: 0o755 });
    giveFolderBeneath(path, within, { uid, gid });
  } finally {
    closeBeneath(parent);
  }
  return [...above, path];
}
