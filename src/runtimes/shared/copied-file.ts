/** Reads a file of the project that is copied into a running instance. */
import type { FileCopy } from "../../stack/runtime.js";
import { closeBeneath, openBeneath } from "../../system/open-beneath.js";
import { readRegularFile } from "../../system/read-regular-file.js";

/** Bytes of the largest file that is copied. */
export const LARGEST_COPY = 64 * 1_048_576;

/**
 * @returns undefined for a file that is gone meanwhile; the next comparison removes it
 * @throws UnsafePathError
 */
export function copiedFile({
  path,
  within,
}: NonNullable<FileCopy["source"]>): { bytes: Buffer; mode: number } | undefined {
  const beneath = openBeneath(path, within);
  if (beneath === undefined) return undefined;
  closeBeneath(beneath);
  const file = readRegularFile(path, { within, maxBytes: LARGEST_COPY });
  return file === undefined ? undefined : { bytes: file.bytes, mode: beneath.stats.mode & 0o777 };
}
