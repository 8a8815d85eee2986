/** Changes the owner of file trees. */
import type { Stats } from "node:fs";
import { chmod, chown } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { StackwardenError } from "../../../errors.js";
import { isRootServer } from "../../../system/root-server.js";
import { isServiceUid } from "../process/user-range.js";
import type { ServiceUser } from "../types.js";
import { Budget } from "./budget.js";
import { Folder, type Name } from "./folder.js";

type Owner = Pick<ServiceUser, "uid" | "gid">;

const MAX_DEPTH = 200;
const MAX_MS = 10 * 60_000;

/** The owner and the mode that a change gives to an entry. */
interface Result {
  /** Whether an entry of this owner may be changed. */
  accepts(stats: Stats): boolean;
  owner(stats: Stats, top: boolean): Owner;
  /** Permission bits; null: unchanged. */
  mode(stats: Stats, top: boolean): number | null;
}

/**
 * Changes the owner and the mode of the entries that are accepted. An inode is checked and changed through one
 * descriptor, so that an entry that replaces it meanwhile (a link, a file of another user) is not changed. Links are
 * not changed. A folder is changed after its content, because its new owner could replace an entry that was not changed
 * yet.
 */
class Change {
  readonly #budget: Budget;

  constructor(
    private readonly displayPath: string,
    private readonly result: Result,
  ) {
    this.#budget = new Budget({ milliseconds: MAX_MS }, () =>
      this.#failed(
        "was not finished within ten minutes",
        "Call again to continue: entries that were changed stay changed.",
      ),
    );
  }

  #failed(problem: string, hint: string): StackwardenError {
    return new StackwardenError("STORAGE_FAILED", `Changing the owner of ${this.displayPath} ${problem}.`, { hint });
  }

  async folder(folder: Folder, depth: number): Promise<void> {
    if (depth > MAX_DEPTH) throw this.#failed("failed: it is nested too deep", "Remove what is in it.");
    for (const name of await folder.names()) await this.#entry(folder, name, depth);
    const { uid, gid } = this.result.owner(folder.stats, depth === 0);
    const mode = this.result.mode(folder.stats, depth === 0);
    await folder.chown(uid, gid);
    if (mode !== null) await folder.chmod(mode);
  }

  async #file(path: string, stats: Stats): Promise<void> {
    const { uid, gid } = this.result.owner(stats, false);
    const mode = this.result.mode(stats, false);
    await chown(path, uid, gid);
    // Set the mode after the owner: the former owner could revert it before.
    if (mode !== null) await chmod(path, mode);
  }

  async #entry(parent: Folder, name: Name, depth: number): Promise<void> {
    this.#budget.entry();
    const entry = await parent.entry(name);
    if (entry === null) return;
    try {
      const { stats, path } = entry;
      if (stats.isSymbolicLink()) return;
      const accepted = this.result.accepts(stats);
      if (!accepted && stats.uid === this.result.owner(stats, false).uid) return;
      if (!accepted)
        throw this.#failed(
          `failed: it holds a file of another user (uid ${stats.uid})`,
          "Remove the file, or give it to the owner of the folder.",
        );
      if (!stats.isDirectory()) return await this.#file(path, stats);
      // Compare the inode: the name may refer to another folder by now.
      const folder = await Folder.open(`${path}/.`);
      try {
        await this.folder(folder, depth + 1);
      } finally {
        await folder.close();
      }
    } finally {
      await entry.close();
    }
  }
}

/**
 * Gives a tree to a user; does nothing when the server is not root. Fails on files that belong to neither the owner of
 * the tree's top nor the user.
 * @param path only the server may change its parent folder; a link is rejected
 * @throws STORAGE_FAILED
 */
export const chownTree = (path: string, user: Owner): Promise<void> =>
  change(path, (top) => ({
    accepts: ({ uid }) => uid === top.uid,
    owner: () => user,
    mode: () => null,
  }));

/**
 * Transfers a tree from its user to the server, so that several services can read it and none can change it. The caller
 * sets the mode of the top folder; below it, files are readable for every user that can enter the top folder.
 * @throws STORAGE_FAILED
 */
export const sealTree = (path: string): Promise<void> =>
  change(path, (top) => ({
    accepts: ({ uid }) => uid === top.uid,
    owner: () => ({ uid: 0, gid: 0 }),
    mode: (stats, isTop) => {
      if (stats.isDirectory()) return isTop ? null : 0o755;
      return (stats.mode & 0o100) === 0 ? 0o644 : 0o755;
    },
  }));

/** Whether an entry of a volume is its services': with several names it may be a file of another tree. */
const isOfVolume = (stats: Stats, top: Stats, users: readonly number[]): boolean =>
  users.includes(stats.uid) ||
  ((isServiceUid(stats.uid) || (stats.uid === top.uid && top.uid !== 0)) && (stats.isDirectory() || stats.nlink === 1));

/**
 * Gives a tree of services' files to one service alone.
 * @throws STORAGE_FAILED
 */
export const claimTree = (path: string, user: Owner): Promise<void> =>
  change(path, (top) => ({
    accepts: (stats) => isOfVolume(stats, top, [user.uid]),
    owner: () => user,
    mode: (_stats, isTop) => (isTop ? 0o700 : null),
  }));

/** A folder of a group; what is created in it has its group. */
export const SHARED_MODE = 0o2770;

/**
 * Gives a tree of services' files to a group of services. Each file keeps its owner where that is one of them, and is
 * as accessible for the group as for its owner; what is created in a folder has the folder's group. The top folder
 * keeps such an owner, too: the service may be running, and a running process does not get the group.
 * @param users the services' user ids
 * @throws STORAGE_FAILED
 */
export const shareTree = (path: string, users: readonly number[], group: number): Promise<void> =>
  change(path, (top) => ({
    accepts: (stats) => isOfVolume(stats, top, users),
    owner: ({ uid }, isTop) => ({ uid: users.includes(uid) ? uid : isTop ? 0 : (users[0] ?? uid), gid: group }),
    mode: (stats, isTop) => {
      if (isTop) return SHARED_MODE;
      const mode = (stats.mode & 0o777) | ((stats.mode & 0o700) >> 3);
      return stats.isDirectory() ? mode | 0o2000 : mode;
    },
  }));

async function change(path: string, result: (top: Stats) => Result): Promise<void> {
  if (!isRootServer()) return;
  const parent = await Folder.open(dirname(path));
  try {
    const top = await parent.folder(basename(path));
    try {
      await new Change(path, result(top.stats)).folder(top, 0);
    } finally {
      await top.close();
    }
  } finally {
    await parent.close();
  }
}
