/** What the runtimes that build images have in common: limits of a build context, and its ignore files. */
import { isBeneath } from "../../system/is-beneath.js";
import { readRegularText, statBeneath } from "../../system/read-regular-file.js";
import type { TreeLimits } from "../../system/walk-beneath.js";

/** Limits of a build context, and of a copy of the project for an installation. */
export const CONTEXT_LIMITS: TreeLimits = { entries: 100_000, bytes: 8 * 1024 ** 3, depth: 64 };

export const CONTEXT_HINT =
  "Exclude what the build does not need in .dockerignore (node_modules, .git, data), or use a smaller build.context.";

const IGNORE_LIMIT = 256 * 1024;

/**
 * @param folder the project's folder
 * @returns null when there is no such file
 * @throws UnsafePathError (INVALID_STACK): it leads outside, is not a regular file, is too large, or cannot be read
 */
export function readIgnoreFile(path: string, folder: string): string | null {
  // Docker also ignores a folder of this name.
  if (!isBeneath(folder, path) || statBeneath(path, folder)?.kind === "folder") return null;
  return readRegularText(path, { within: folder, maxBytes: IGNORE_LIMIT })?.replace(/^\uFEFF/, "") ?? null;
}
