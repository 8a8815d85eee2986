/** Changes the owner of file trees. */
import { chmod, chown } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { StackwardenError } from "../../../errors.js";
import type { ServiceUser } from "../types.js";
import { Budget } from "./budget.js";
import { Folder } from "./folder.js";
import { isRootServer } from "./storage.js";

type Owner = Pick<ServiceUser, "uid" | "gid">;

const MAX_DEPTH = 200;
const MAX_MS = 10 * 60_000;

/**
 * Changes exactly the files that belong to the tree's current owner. An inode is checked and changed through one
 * descriptor, so that an entry that replaces it meanwhile (a link, a file of another user) keeps its owner. Links keep
 * their owner. A folder is changed after its content, because its new owner could replace an entry that was not changed
 * yet.
 */
class Change {
  readonly #budget: Budget;

  constructor(
    private readonly displayPath: string,
    private readonly from: number,
    private readonly to: Owner,
    private readonly sealed = false,
  ) {
    this.#budget = new Budget({ milliseconds: MAX_MS }, () =>
      this.#failed("was not finished within ten minutes", "Call again: what was changed stays changed."),
    );
  }

  #failed(problem: string, hint: string): StackwardenError {
    return new StackwardenError("STORAGE_FAILED", `Changing the owner of ${this.displayPath} ${problem}.`, { hint });
  }

  async folder(folder: Folder, depth: number): Promise<void> {
    if (depth > MAX_DEPTH) throw this.#failed("failed: it is nested too deep", "Remove what is in it.");
    for (const name of await folder.names()) await this.#entry(folder, name, depth);
    await folder.chown(this.to.uid, this.to.gid);
    if (this.sealed && depth > 0) await folder.chmod(0o755);
  }

  async #file(path: string, mode: number): Promise<void> {
    await chown(path, this.to.uid, this.to.gid);
    // Set the mode after the owner: the former owner could revert it before.
    if (this.sealed) await chmod(path, (mode & 0o100) === 0 ? 0o644 : 0o755);
  }

  async #entry(parent: Folder, name: string, depth: number): Promise<void> {
    this.#budget.entry();
    const entry = await parent.entry(name);
    if (entry === null) return;
    try {
      const { stats, path } = entry;
      if (stats.isSymbolicLink() || (stats.uid === this.to.uid && stats.uid !== this.from)) return;
      if (stats.uid !== this.from)
        throw this.#failed(
          `failed: it holds a file of another user (uid ${stats.uid})`,
          "Remove the file, or give it to the owner of the folder.",
        );
      if (!stats.isDirectory()) return await this.#file(path, stats.mode);
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
export const chownTree = (path: string, user: Owner): Promise<void> => change(path, user, false);

/**
 * Transfers a tree from its user to the server, so that several services can read it and none can change it. The caller
 * sets the mode of the top folder; below it, files are readable for every user that can enter the top folder.
 * @throws STORAGE_FAILED
 */
export const sealTree = (path: string): Promise<void> => change(path, { uid: 0, gid: 0 }, true);

async function change(path: string, user: Owner, sealed: boolean): Promise<void> {
  if (!isRootServer()) return;
  const parent = await Folder.open(dirname(path));
  try {
    const top = await parent.folder(basename(path));
    try {
      await new Change(path, top.stats.uid, user, sealed).folder(top, 0);
    } finally {
      await top.close();
    }
  } finally {
    await parent.close();
  }
}
