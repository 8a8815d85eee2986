/** Packs files of the project that are copied into a running instance. */
import { join } from "node:path";
import { type Pack, pack } from "tar-stream";
import { StackwardenError } from "../../errors.js";
import type { FileCopy, SkippedCopy } from "../../stack/runtime.js";
import { closeBeneath, openBeneath } from "../../system/open-beneath.js";
import { readRegularFile } from "../../system/read-regular-file.js";
import { fileBeneath } from "./private-files.js";

/** Bytes that are copied at once, of all files together: they are held in memory. */
const LARGEST_COPY = 64 * 1_048_576;

interface CopiedFile {
  bytes: Buffer;
  mode: number;
  /** Absolute, without links. */
  path: string;
}

/**
 * @returns undefined for a file that no longer exists; the next comparison removes it
 * @throws UnsafePathError
 */
function copiedFile({ path, within }: NonNullable<FileCopy["source"]>): CopiedFile | undefined {
  const beneath = openBeneath(path, within);
  if (beneath === undefined) return undefined;
  closeBeneath(beneath);
  const file = readRegularFile(path, { within, maxBytes: LARGEST_COPY });
  return file === undefined ? undefined : { ...file, mode: beneath.stats.mode & 0o777 };
}

export interface PackOptions {
  service: string;
  /** Owner of the files. Default: the user that unpacks the archive. */
  user?: { uid: number; gid: number } | null;
  /** Files that are not copied: secrets are written in them. */
  privateFiles?: readonly string[];
}

export interface PackedCopies {
  archive: Pack;
  /** Targets of the files in the archive. */
  written: string[];
  /** Targets of the files to remove. */
  removed: string[];
  skipped: SkippedCopy[];
}

/** @throws SERVICE_START_FAILED: too many bytes at once; UnsafePathError */
export function packCopies(files: readonly FileCopy[], options: PackOptions): PackedCopies {
  const { service, user, privateFiles = [] } = options;
  const packed: PackedCopies = { archive: pack(), written: [], removed: [], skipped: [] };
  let total = 0;
  for (const { target, source } of files) {
    if (source === null) {
      packed.removed.push(target);
      continue;
    }
    const { path, within } = source;
    const isPrivate = (file: string): boolean =>
      privateFiles.some((one) => one === file || fileBeneath(one, within) === file);
    // A private file is not read, except through a link to it.
    if (isPrivate(join(within, path))) {
      packed.skipped.push({ target, reason: "private" });
      continue;
    }
    const file = copiedFile(source);
    if (file === undefined || isPrivate(file.path)) {
      packed.skipped.push({ target, reason: file === undefined ? "gone" : "private" });
      continue;
    }
    total += file.bytes.length;
    if (total > LARGEST_COPY)
      throw new StackwardenError("SERVICE_START_FAILED", `More than ${LARGEST_COPY} bytes changed at once.`, {
        hint: "Restart the service.",
        details: { service },
      });
    const header = { name: target.replace(/^\/+/, ""), mode: file.mode, mtime: new Date(), ...user };
    packed.archive.entry(header, file.bytes);
    packed.written.push(target);
  }
  packed.archive.finalize();
  return packed;
}
