/** Gives trees to the users of services. */
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
 * Changes exactly the files that belong to the tree's present owner: an inode is examined and changed by its own
 * descriptor, so that what takes its place meanwhile (a link, a file of another user) keeps its owner. Links keep theirs.
 * A folder is changed after what is in it, because its new owner could put something in the place of an entry that was
 * not changed yet.
 */
class Change {
  readonly #budget: Budget;

  constructor(
    private readonly shown: string,
    private readonly from: number,
    private readonly to: Owner,
    private readonly sealed = false,
  ) {
    this.#budget = new Budget({ milliseconds: MAX_MS }, () =>
      this.#failed("was not finished within ten minutes", "Call again: what was changed stays changed."),
    );
  }

  #failed(problem: string, hint: string): StackwardenError {
    return new StackwardenError("STORAGE_FAILED", `Changing the owner of ${this.shown} ${problem}.`, { hint });
  }

  async folder(folder: Folder, depth: number): Promise<void> {
    if (depth > MAX_DEPTH) throw this.#failed("failed: it is nested too deep", "Remove what is in it.");
    for (const name of await folder.names()) await this.#entry(folder, name, depth);
    await folder.chown(this.to.uid, this.to.gid);
    if (this.sealed && depth > 0) await folder.chmod(0o755);
  }

  async #file(path: string, mode: number): Promise<void> {
    await chown(path, this.to.uid, this.to.gid);
    // After the change of the owner, who could undo it.
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
      // By its inode: the name may stand for another folder by now.
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
 * Gives a tree to a user; without effect when the server is not root. Files that belong neither to the owner of the
 * tree's top nor to the user already are refused.
 * @param path only the server can change the folder above it; a link in its place is refused
 * @throws STORAGE_FAILED
 */
export const chownTree = (path: string, user: Owner): Promise<void> => change(path, user, false);

/**
 * Takes a tree from its user for the server: several services can then read it and none can change it. The mode of the
 * tree's top is the caller's to set; below it, files are readable for every user that can enter the top.
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
