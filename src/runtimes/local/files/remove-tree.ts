/** Removes trees whose content services control, even while processes of a service still change them. */
import { randomBytes } from "node:crypto";
import { chmod, rename, rmdir, unlink } from "node:fs/promises";
import { basename, dirname, isAbsolute, join, relative, sep } from "node:path";
import { StackwardenError } from "../../../errors.js";
import { hasDescriptorPaths } from "../../../system/open-beneath.js";
import { isRootServer } from "../../../system/root-server.js";
import { isServiceUid } from "../process/user-range.js";
import { Budget } from "./budget.js";
import { type Entry, Folder, type Name } from "./folder.js";
import { codeOf, withStorage } from "./storage.js";

/** Maximum number of open descriptors; entries that are nested more deeply are first moved up. */
const MAX_DEPTH = 64;
const MAX_MS = 10 * 60_000;
/** How often a folder is emptied again when new entries appear. */
const ROUNDS = 20;

const OPEN = 0o700;

const NOT_FOLDER = new Set(["ENOTDIR", "ELOOP"]);
const MISSING = "ENOENT";
const FULL_AGAIN = new Set(["ENOTEMPTY", "EEXIST"]);

/** User ids that own trees made before 0.2.0: those of services, and `nobody`, which ran initdb. */
const isFormerServiceUid = (uid: number): boolean => (uid >= 70_000 && uid <= 79_999) || uid === 65_534;

/**
 * Whether the content of a folder may be removed. A service can move another user's folder into its tree where
 * permissions allow that; it must not make the server empty that folder.
 */
function isOurs({ stats }: Folder, parent: Folder): boolean {
  if (stats.dev !== parent.stats.dev) return false;
  if (!isRootServer()) return true;
  const onlyRootChangesParent = parent.stats.uid === 0 && (parent.stats.mode & 0o022) === 0;
  if (onlyRootChangesParent) return true;
  return (
    stats.uid !== 0 && (stats.uid === parent.stats.uid || isServiceUid(stats.uid) || isFormerServiceUid(stats.uid))
  );
}

class Removal {
  readonly #budget: Budget;
  /** The top folder of the tree; entries that are nested too deeply are moved there. */
  #top: Folder | undefined;
  #moved = false;

  constructor(private readonly displayPath: string) {
    this.#budget = new Budget({ milliseconds: MAX_MS }, () =>
      this.#failed(
        "was not finished within ten minutes",
        "Call again to continue: entries that were removed stay removed.",
      ),
    );
  }

  #failed(problem: string, hint: string): StackwardenError {
    return new StackwardenError("STORAGE_FAILED", `Removing ${this.displayPath} ${problem}.`, { hint });
  }

  async remove(parent: Folder, name: Name, depth = 0): Promise<void> {
    for (let round = 0; round < ROUNDS; round += 1) {
      this.#budget.entry();
      if (await unlinked(parent, name)) return;
      if (await this.#emptied(parent, name, depth)) return;
      if (depth === 0 && this.#moved) round = 0;
      this.#moved = false;
    }
    throw this.#failed(
      "failed: a folder in it belongs to another user, or a program keeps writing into it",
      "Stop the program that writes there, or remove the folder by hand.",
    );
  }

  /** @returns false when another attempt is needed: the folder was replaced, filled again, or is not empty yet */
  async #emptied(parent: Folder, name: Name, depth: number): Promise<boolean> {
    try {
      await openToServer(parent, name);
      const folder = await parent.folder(name);
      if (depth === 0) this.#top = folder;
      try {
        if (isOurs(folder, parent)) await this.#empty(folder, depth);
      } finally {
        await folder.close();
      }
      await rmdir(parent.at(name));
      return true;
    } catch (error) {
      const code = codeOf(error);
      if (code === MISSING) return true;
      if (NOT_FOLDER.has(code) || FULL_AGAIN.has(code)) return false;
      throw error;
    }
  }

  async #empty(folder: Folder, depth: number): Promise<void> {
    for (const name of await folder.names()) {
      if (depth < MAX_DEPTH) await this.remove(folder, name, depth + 1);
      else if (!(await unlinked(folder, name))) await this.#moveUp(folder, name);
    }
  }

  /** Moves an entry to the top folder of the tree, where the next round removes it. */
  async #moveUp(folder: Folder, name: Name): Promise<void> {
    this.#budget.entry();
    this.#moved = true;
    await openToServer(folder, name);
    const target = this.#top?.at(`.removing-${randomBytes(8).toString("hex")}`) as string;
    await rename(folder.at(name), target).catch((error: unknown) => {
      if (codeOf(error) !== MISSING) throw error;
    });
  }
}

/** A folder of the server's user in which that user cannot remove entries. */
const isClosed = ({ stats }: Entry): boolean =>
  stats.isDirectory() && (stats.mode & OPEN) !== OPEN && stats.uid === process.getuid?.();

/**
 * A folder's mode can deny its owner write access (`chmod 555`, as Go does in its cache of modules). A server that is
 * not root is bound by it.
 */
async function openToServer(parent: Folder, name: Name): Promise<void> {
  if (isRootServer() || !hasDescriptorPaths) return;
  const entry = await parent.entry(name);
  try {
    if (entry !== null && isClosed(entry) && entry.stats.dev === parent.stats.dev) await chmod(entry.path, OPEN);
  } finally {
    await entry?.close();
  }
}

/** @returns true when the name no longer exists; false for a folder */
async function unlinked(parent: Folder, name: Name): Promise<boolean> {
  try {
    await unlink(parent.at(name));
    return true;
  } catch (error) {
    const code = codeOf(error);
    if (code === MISSING) return true;
    // Linux reports EISDIR for a folder, other systems EPERM.
    if (code === "EISDIR" || (code === "EPERM" && process.platform !== "linux")) return false;
    throw error;
  }
}

/** Opens the folder above `path`, component by component from `root`. @returns null when one of them is missing */
async function parentFolder(path: string, root: string): Promise<Folder | null> {
  const parts = relative(root, dirname(path))
    .split(sep)
    .filter((part) => part !== "");
  let folder: Folder | undefined;
  let at = root;
  try {
    folder = await Folder.open(root);
    for (const part of parts) {
      at = join(at, part);
      const next: Folder = await folder.folder(part);
      await folder.close();
      folder = next;
    }
    return folder;
  } catch (error) {
    await folder?.close();
    if (codeOf(error) === MISSING) return null;
    if (!NOT_FOLDER.has(codeOf(error))) throw error;
    throw new StackwardenError("STORAGE_FAILED", `${at} is not a directory: nothing was removed.`, {
      hint: "A directory in the state directory was replaced by a link: remove the link.",
    });
  }
}

/**
 * Removes `path` and its content; `path` must lie strictly below `root`. Does not follow links, and does not empty
 * folders that belong to users other than services.
 * @throws STORAGE_FAILED
 */
export async function removeTree(path: string, root: string): Promise<void> {
  const inner = relative(root, path);
  if (inner === "" || inner === ".." || inner.startsWith(`..${sep}`) || isAbsolute(inner)) {
    throw new StackwardenError("STORAGE_FAILED", `${path} is not below ${root}: not removed.`, {
      hint: "Name something inside of it.",
    });
  }
  await withStorage(`Removing ${path}`, async () => {
    const parent = await parentFolder(path, root);
    if (parent === null) return;
    try {
      await new Removal(path).remove(parent, basename(path));
    } finally {
      await parent.close();
    }
  });
}
