/**
 * Resolves a path below a folder without ever leaving it. On Linux each component is opened relative to the descriptor
 * of the one above (`/proc/self/fd/N/name`, O_PATH | O_NOFOLLOW), and links are resolved here: a link that is put in
 * the place of a folder in the middle of it leads nowhere, and nothing outside the folder is opened, a device neither.
 */
import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  lstatSync,
  openSync,
  readlinkSync,
  realpathSync,
  type Stats,
} from "node:fs";
import { isAbsolute, join, relative, resolve, sep } from "node:path";
import { type ErrorCode, StackwardenError } from "../errors.js";
import { isBeneath } from "./is-beneath.js";

/** Linux's O_PATH, which Node does not name: a descriptor that stands for a path and opens nothing. */
export const O_PATH = 0x20_0000;
const STEP = O_PATH | constants.O_NOFOLLOW;
const MAX_LINKS = 40;

export type UnsafePathReason = "outside" | "special" | "too large" | "denied" | "changed";

/** A path of a project or a service that the server does not use. The message names it relative to its folder. */
export class UnsafePathError extends StackwardenError {
  constructor(
    readonly reason: UnsafePathReason,
    /** Relative to the folder that it must lie in. */
    readonly path: string,
    /** What is wrong, to follow the path in a sentence. */
    readonly problem: string,
    options: { code?: ErrorCode; hint?: string; cause?: unknown } = {},
  ) {
    super(options.code ?? "INVALID_STACK", `${path} ${problem}.`, {
      hint: options.hint ?? "Replace it with a regular file inside the project's folder.",
      details: { path, reason },
      cause: options.cause,
    });
  }
}

/** A resolved path. `fd` is an O_PATH descriptor on Linux, -1 elsewhere; the caller closes it with `close`. */
export interface Beneath {
  fd: number;
  stats: Stats;
  /** Absolute, without links. */
  real: string;
  /** Relative to the folder, as it was asked for. */
  displayPath: string;
}

/** Whether descriptors can be used as paths. */
export const hasDescriptorPaths = process.platform === "linux" && existsSync("/proc/self/fd");

const codeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException).code;
const isMissing = (error: unknown): boolean => codeOf(error) === "ENOENT" || codeOf(error) === "ENOTDIR";

/** For fewer steps from the root: `open` refuses a link only in the last component. */
function openFolder(folder: string, displayPath: string): number {
  let fd = openSync("/", O_PATH | constants.O_DIRECTORY);
  try {
    for (const name of folder.split(sep).filter((part) => part !== "")) {
      const next = openSync(`/proc/self/fd/${fd}/${name}`, STEP | constants.O_DIRECTORY);
      closeSync(fd);
      fd = next;
    }
    return fd;
  } catch (error) {
    closeSync(fd);
    if (codeOf(error) === "ENOTDIR")
      throw new UnsafePathError("changed", displayPath, "cannot be reached: its folder was replaced by a link", {
        hint: "Restore the folder, or start the project again by its current path.",
        cause: error,
      });
    throw error;
  }
}

function walk(folder: string, inner: string, displayPath: string): Beneath | undefined {
  const outside = (): UnsafePathError =>
    new UnsafePathError("outside", displayPath, "leads outside the project's folder");
  const descriptors = [openFolder(folder, displayPath)];
  const names: string[] = [];
  const pending = inner.split(sep).reverse();
  let links = 0;
  try {
    for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
      if (name === "" || name === ".") continue;
      if (name === "..") {
        if (names.pop() === undefined) throw outside();
        closeSync(descriptors.pop() as number);
        continue;
      }
      const at = `/proc/self/fd/${descriptors.at(-1)}/${name}`;
      const fd = openSync(at, STEP);
      if (!fstatSync(fd).isSymbolicLink()) {
        descriptors.push(fd);
        names.push(name);
        continue;
      }
      closeSync(fd);
      links += 1;
      if (links > MAX_LINKS) throw new UnsafePathError("outside", displayPath, "has too many symbolic links");
      const target = readlinkSync(at);
      if (isAbsolute(target)) {
        if (!isBeneath(folder, target)) throw outside();
        for (const open of descriptors.splice(1)) closeSync(open);
        names.length = 0;
      }
      const steps = isAbsolute(target) ? relative(folder, target) : target;
      pending.push(...steps.split("/").reverse());
    }
    const fd = descriptors.pop() as number;
    return { fd, stats: fstatSync(fd), real: join(folder, ...names), displayPath };
  } catch (error) {
    if (error instanceof UnsafePathError) throw error;
    if (isMissing(error)) return undefined;
    if (codeOf(error) === "EINVAL")
      throw new UnsafePathError("changed", displayPath, "changed while it was read", { cause: error });
    throw error;
  } finally {
    for (const open of descriptors) closeSync(open);
  }
}

/** Where descriptors have no paths (macOS) services run as the server's user, which gains nothing by replacing a folder. */
function resolvePortably(folder: string, inner: string, displayPath: string): Beneath | undefined {
  try {
    const real = realpathSync(join(folder, inner));
    if (!isBeneath(realpathSync(folder), real))
      throw new UnsafePathError("outside", displayPath, "leads outside the project's folder");
    return { fd: -1, stats: lstatSync(real), real, displayPath };
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/**
 * Links are followed while they stay below the folder.
 * @param path absolute, or relative to `within`
 * @param within the folder, without links in its own path
 * @returns undefined when nothing is there
 * @throws UnsafePathError
 */
export function openBeneath(path: string, within: string): Beneath | undefined {
  const full = resolve(within, path);
  const displayPath = relative(within, full) || ".";
  if (!isBeneath(within, full)) throw new UnsafePathError("outside", displayPath, "leads outside the project's folder");
  try {
    return (hasDescriptorPaths ? walk : resolvePortably)(within, relative(within, full), displayPath);
  } catch (error) {
    const code = codeOf(error);
    if (error instanceof StackwardenError || code === undefined) throw error;
    throw new UnsafePathError("denied", displayPath, `cannot be read (${code})`, {
      hint: "Correct its permissions.",
      cause: error,
    });
  }
}

/**
 * The names that a folder has an entry for, a link without a target included. One step each, instead of all steps from
 * the root: of many names of files that may be there, most are missing.
 * @param folder absolute, or relative to `within`
 * @throws UnsafePathError
 */
export function entriesAmong(names: readonly string[], folder: string, within: string): string[] {
  const beneath = openBeneath(folder, within);
  if (beneath === undefined) return [];
  const at = beneath.fd < 0 ? beneath.real : `/proc/self/fd/${beneath.fd}`;
  try {
    return names.filter((name) => lstatSync(`${at}/${name}`, { throwIfNoEntry: false }) !== undefined);
  } finally {
    closeBeneath(beneath);
  }
}

export const closeBeneath = ({ fd }: Beneath): void => {
  if (fd >= 0) closeSync(fd);
};
