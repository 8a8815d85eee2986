/** Linked git work trees, recognised by their `.git` file: git itself is never run on files that a project wrote. */
import { basename, dirname, join, resolve } from "node:path";
import { isBeneath } from "./is-beneath.js";
import { readRegularText } from "./read-regular-file.js";
import { realPath } from "./real-path.js";

const MOST_BYTES = 4096;

/** The folder of the repository that the `.git` file names; null when the folder is no linked work tree. */
function gitFolders(folder: string): { gitDir: string; common: string } | null {
  let text: string | undefined;
  try {
    text = readRegularText(".git", { within: realPath(folder), maxBytes: MOST_BYTES });
  } catch {
    // A folder (the main work tree), or something else than a work tree.
    return null;
  }
  // `gitdir: /srv/shop/.git/worktrees/feature`, or `/srv/shop.git/worktrees/feature` of a bare repository.
  const gitDir = /^gitdir: (.+?)\s*$/.exec(text ?? "")?.[1];
  if (gitDir === undefined || basename(dirname(gitDir)) !== "worktrees") return null;
  return { gitDir, common: dirname(dirname(gitDir)) };
}

/**
 * The repository of a linked work tree. A project can write any path into its `.git` file; a repository names its work
 * trees itself.
 * @param folder the work tree's top folder
 * @returns the repository's folder without links; null unless it names this work tree, where one of both contains the
 * other, and for every other folder
 */
export function repositoryFolder(folder: string): string | null {
  const own = realPath(folder);
  const folders = gitFolders(own);
  if (folders === null) return null;
  const common = realPath(resolve(own, folders.common));
  // A repository that contains its work trees would show those of other projects as well.
  if (isBeneath(own, common) || isBeneath(common, own)) return null;
  const record = join("worktrees", basename(folders.gitDir), "gitdir");
  try {
    const text = readRegularText(record, { within: common, maxBytes: MOST_BYTES }) ?? "";
    const named = realPath(resolve(common, dirname(record), text.trim()));
    return named === join(own, ".git") ? common : null;
  } catch {
    return null;
  }
}

/**
 * @param folder the work tree's top folder
 * @returns the name of the repository that it belongs to; null for every other folder
 */
export function repositoryOfWorktree(folder: string): string | null {
  const common = gitFolders(folder)?.common;
  if (common === undefined) return null;
  const name = basename(common) === ".git" ? basename(dirname(common)) : basename(common).replace(/\.git$/, "");
  return name === "" ? null : name;
}
