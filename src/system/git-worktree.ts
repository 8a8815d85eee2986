/** Linked git work trees, recognised by their `.git` file: git itself is never run on files that a project wrote. */
import { basename, dirname } from "node:path";
import { readRegularText } from "./read-regular-file.js";
import { realPath } from "./real-path.js";

const MOST_BYTES = 4096;

/**
 * @param folder the work tree's top folder
 * @returns the name of the repository that it belongs to; null for every other folder
 */
export function repositoryOfWorktree(folder: string): string | null {
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
  const common = dirname(dirname(gitDir));
  const name = basename(common) === ".git" ? basename(dirname(common)) : basename(common).replace(/\.git$/, "");
  return name === "" ? null : name;
}
