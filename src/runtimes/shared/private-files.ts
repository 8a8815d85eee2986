/** Files of a project in which secrets are written: they never become part of an image or of an upload. */
import { join } from "node:path";
import type { StackDefinition } from "../../stack/definition/types.js";
import { UnsafePathError } from "../../system/open-beneath.js";
import { statBeneath } from "../../system/read-regular-file.js";

/** The file that a path leads to; the path itself when it leads to none in the folder. */
export function fileBeneath(path: string, within: string): string {
  try {
    return statBeneath(path, within)?.path ?? path;
  } catch (error) {
    if (error instanceof UnsafePathError) return path;
    throw error;
  }
}

/**
 * `.env`, the files that the compose file names for secrets, and the files of the project that links at these paths lead to.
 * @param folder the project's folder
 */
export const privateFiles = (
  folder: string,
  { privateFiles = [] }: Pick<StackDefinition, "privateFiles">,
): string[] => [
  ...new Set([join(folder, ".env"), ...privateFiles].flatMap((path) => [path, fileBeneath(path, folder)])),
];
