/** The default project id of a folder. */
import { basename } from "node:path";
import { repositoryOfWorktree } from "../system/git-worktree.js";
import { projectIdFrom } from "./project-id.js";

/**
 * The folder's name; for a linked git work tree `<repository>-<folder>`, so that work trees of several repositories,
 * and the repository itself, never share an id.
 * @returns null when the name has no valid characters
 */
export function defaultProjectId(folder: string): string | null {
  const repository = repositoryOfWorktree(folder);
  const name = basename(folder);
  return projectIdFrom(repository === null ? name : `${repository}-${name}`);
}
