/** Reads files that a project's owner or a service can change: regular ones only, up to a limit, never through a link that leads out. */
import { closeSync, constants, fstatSync, openSync, readSync, type Stats } from "node:fs";
import { type Beneath, closeBeneath, openBeneath, UnsafePathError } from "./open-beneath.js";

export { UnsafePathError } from "./open-beneath.js";

export interface ReadRegularFileOptions {
  /** Folder that the file must lie in, links resolved; without links in its own path. */
  within: string;
  /** Largest size in bytes. Default 1,048,576. */
  maxBytes?: number;
}

export interface RegularFile {
  bytes: Buffer;
  /** Absolute, without links. */
  path: string;
}

const DEFAULT_MAX_BYTES = 1_048_576;
const CHUNK = 65_536;

export type PathKind = "file" | "folder" | "special";

function kindOf(stats: Stats): PathKind {
  if (stats.isFile()) return "file";
  return stats.isDirectory() ? "folder" : "special";
}

function describe(stats: Stats): string {
  if (stats.isDirectory()) return "is a folder";
  if (stats.isFIFO()) return "is a named pipe";
  return stats.isSocket() ? "is a socket" : "is a device";
}

const KIB = 1024;

function size(bytes: number): string {
  if (bytes % KIB ** 2 === 0) return `${bytes / KIB ** 2} MiB`;
  return bytes % KIB === 0 ? `${bytes / KIB} KiB` : `${bytes} bytes`;
}

function readUpTo(fd: number, maxBytes: number, tooLarge: () => UnsafePathError): Buffer {
  const chunks: Buffer[] = [];
  for (let total = 0; ; ) {
    const chunk = Buffer.allocUnsafe(Math.min(CHUNK, maxBytes + 1 - total));
    const length = readSync(fd, chunk, 0, chunk.length, null);
    if (length === 0) return Buffer.concat(chunks, total);
    total += length;
    // It may grow while it is read.
    if (total > maxBytes) throw tooLarge();
    chunks.push(chunk.subarray(0, length));
  }
}

function open({ fd, real, stats, displayPath }: Beneath): number {
  const opened = openSync(
    fd < 0 ? real : `/proc/self/fd/${fd}`,
    constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY | (fd < 0 ? constants.O_NOFOLLOW : 0),
  );
  const now = fstatSync(opened);
  if (now.isFile() && now.ino === stats.ino && now.dev === stats.dev) return opened;
  closeSync(opened);
  throw new UnsafePathError("changed", displayPath, "changed while it was read");
}

/**
 * Never blocks on a named pipe and opens no device.
 * @param path absolute, or relative to `within`
 * @returns undefined when nothing is there
 * @throws UnsafePathError (INVALID_STACK): it leads outside, is not a regular file, is too large, or cannot be read
 */
export function readRegularFile(path: string, options: ReadRegularFileOptions): RegularFile | undefined {
  const { within, maxBytes = DEFAULT_MAX_BYTES } = options;
  const beneath = openBeneath(path, within);
  if (beneath === undefined) return undefined;
  const { stats, displayPath } = beneath;
  const tooLarge = (): UnsafePathError =>
    new UnsafePathError("too large", displayPath, `is larger than ${size(maxBytes)}`, { hint: "Use a smaller file." });
  try {
    if (!stats.isFile())
      throw new UnsafePathError("special", displayPath, `${describe(stats)}; expected a regular file`);
    if (stats.size > maxBytes) throw tooLarge();
    const fd = open(beneath);
    try {
      return { bytes: readUpTo(fd, maxBytes, tooLarge), path: beneath.real };
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    if (error instanceof UnsafePathError) throw error;
    throw new UnsafePathError("denied", displayPath, `cannot be read (${(error as NodeJS.ErrnoException).code})`, {
      hint: "Correct its permissions.",
      cause: error,
    });
  } finally {
    closeBeneath(beneath);
  }
}

/** `readRegularFile` as UTF-8 text. */
export const readRegularText = (path: string, options: ReadRegularFileOptions): string | undefined =>
  readRegularFile(path, options)?.bytes.toString("utf8");

/**
 * What lies at a path, links below the folder resolved; nothing is opened.
 * @returns undefined when nothing is there
 * @throws UnsafePathError when it leads outside `within`
 */
export function statBeneath(
  path: string,
  within: string,
): { kind: PathKind; path: string; size: number; stats: Stats } | undefined {
  const beneath = openBeneath(path, within);
  if (beneath === undefined) return undefined;
  closeBeneath(beneath);
  const { stats, real } = beneath;
  return { kind: kindOf(stats), path: real, size: stats.size, stats };
}
