/** Reads the files that describe a service's dependencies. */
import { relative } from "node:path";
import { StackwardenError } from "../../../errors.js";
import { readRegularText, UnsafePathError } from "../../../system/read-regular-file.js";

const MAX_BYTES = 16 * 1_048_576;

export const manifestError = (message: string, cause?: unknown): StackwardenError =>
  new StackwardenError("DEPENDENCY_INSTALL_FAILED", message, {
    hint: "Correct the file, or the path in x-local.install.manifest.",
    cause,
  });

/**
 * @param folder the project's folder
 * @returns undefined when the file is missing
 * @throws DEPENDENCY_INSTALL_FAILED when it leads outside, is not a regular file, or is larger than 16 MiB
 */
export function readManifestText(path: string, folder: string): string | undefined {
  try {
    return readRegularText(path, { within: folder, maxBytes: MAX_BYTES });
  } catch (error) {
    if (error instanceof UnsafePathError) throw manifestError(error.message, error);
    throw error;
  }
}

/** @throws DEPENDENCY_INSTALL_FAILED, also when the file is missing */
export function requireManifestText(path: string, folder: string): string {
  const text = readManifestText(path, folder);
  if (text === undefined) throw manifestError(`${relative(folder, path)} does not exist.`);
  return text;
}
