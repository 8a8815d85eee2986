/**
 * Copies of files for an upload. The Dagger CLI reads what it uploads by path, with the server's rights. A server that
 * runs as root therefore uploads copies, which it makes through descriptors in a folder that only root can enter: the
 * owner of a project's folder who exchanges a file in it for a link redirects nothing.
 */
import { createWriteStream } from "node:fs";
import { chmod, mkdir, rm, symlink, utimes } from "node:fs/promises";
import { dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { StackwardenError } from "../../../errors.js";
import { storageError } from "../../../system/atomic-write.js";
import { statBeneath } from "../../../system/read-regular-file.js";
import { type TreeEntry, type WalkOptions, walkBeneath } from "../../../system/walk-beneath.js";

const FOLDER = "uploads";
const ENTERED_MODE = 0o755;

async function copyFile(entry: TreeEntry, target: string): Promise<void> {
  const { size, mode, atime, mtime } = entry.stats;
  const file = await entry.open();
  try {
    // A file that grows meanwhile is cut at the size that the limits counted.
    const content = file.createReadStream({ autoClose: false, start: 0, end: Math.max(size - 1, 0) });
    await pipeline(content, createWriteStream(target, { mode: 0o600 }));
  } finally {
    await file.close();
  }
  await chmod(target, mode & 0o777);
  await utimes(target, atime, mtime);
}

export interface Staging {
  /**
   * @returns path of a copy, which is removed when the staging ends
   * @throws UnsafePathError, STORAGE_FAILED, the signal's reason
   */
  copy(path: string, options: WalkOptions): Promise<string>;
}

async function makeFolder(path: string, mode: number): Promise<void> {
  await mkdir(path);
  // Regardless of the umask.
  await chmod(path, mode & 0o777);
}

async function copyTree(path: string, options: WalkOptions, root: string, signal: AbortSignal): Promise<void> {
  const folders = new Set<string>();
  await mkdir(dirname(root), { recursive: true, mode: 0o700 });
  await makeFolder(root, statBeneath(path, options.within)?.stats.mode ?? ENTERED_MODE);
  for await (const entry of walkBeneath(path, options)) {
    signal.throwIfAborted();
    const target = join(root, entry.path);
    const parents = entry.path.split("/").slice(0, -1);
    for (const [depth] of parents.entries()) {
      const parent = parents.slice(0, depth + 1).join("/");
      // Folders that are entered but not taken are not among the entries.
      if (!folders.has(parent)) await makeFolder(join(root, parent), ENTERED_MODE);
      folders.add(parent);
    }
    if (entry.stats.isDirectory()) {
      await makeFolder(target, entry.stats.mode);
      folders.add(entry.path);
    } else if (entry.link !== undefined) await symlink(entry.link, target);
    else await copyFile(entry, target);
  }
}

/**
 * @param options.stateDir private directory of the project
 * @param options.name different for stagings at the same time; the same at every start of a service, because an engine transfers
 * only what changed since its last transfer from the same path
 * @param use the copies are removed when it ends
 */
export async function withStaging<T>(
  { stateDir, name, signal }: { stateDir: string; name: string; signal: AbortSignal },
  use: (staging: Staging) => Promise<T>,
): Promise<T> {
  const folder = join(stateDir, FOLDER, name);
  let copies = 0;
  try {
    return await use({
      copy: async (path, options) => {
        copies += 1;
        const root = join(folder, String(copies));
        await copyTree(path, options, root, signal).catch((error: unknown) => {
          signal.throwIfAborted();
          throw error instanceof StackwardenError
            ? error
            : storageError(`${path} cannot be copied for the upload`, error);
        });
        return root;
      },
    });
  } finally {
    // What cannot be removed now is removed when the stack is opened again; the result of the start counts.
    if (copies > 0) await rm(folder, { recursive: true, force: true }).catch(() => undefined);
  }
}

/** Removes copies that a killed server left. */
export const removeStaged = (stateDir: string): Promise<void> =>
  rm(join(stateDir, FOLDER), { recursive: true, force: true }).catch((error: unknown) => {
    throw storageError(`${join(stateDir, FOLDER)} cannot be removed`, error);
  });
