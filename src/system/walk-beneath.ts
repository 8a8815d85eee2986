/**
 * Walks a tree that a project's owner or a service can change. Every folder and file is reached through the descriptor
 * of the folder above it: a link that replaces one of them meanwhile leads nowhere, and named pipes and devices are not
 * opened.
 */
import { closeSync, constants, fstatSync, opendirSync, openSync, readlinkSync, type Stats } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import { closeBeneath, hasDescriptorPaths, O_PATH, openBeneath, UnsafePathError } from "./open-beneath.js";

export interface TreeLimits {
  /** Maximum entries, folders included. */
  entries: number;
  /** Maximum bytes of all files together. */
  bytes: number;
  /** Maximum levels of folders. */
  depth: number;
}

export interface WalkOptions {
  /** Folder that the tree must lie in, without links in its own path. */
  within: string;
  limits: TreeLimits;
  /** What to do about a tree that exceeds a limit. */
  hint: string;
  /**
   * `take` an entry, `enter` a folder without taking it, or `skip` the entry with everything in it.
   * @param path relative to the tree, with slashes
   */
  choose(path: string): "take" | "enter" | "skip";
}

export interface TreeEntry {
  /** Relative to the tree, with slashes. */
  path: string;
  stats: Stats;
  /** Target of a link. */
  link?: string;
  /** Opens a regular file. The caller closes it. */
  open(): Promise<FileHandle>;
}

const READ = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY;
/** Elsewhere than on Linux a path is opened, of regular files and folders only. */
const STEP = (hasDescriptorPaths ? O_PATH : READ) | constants.O_NOFOLLOW;
/** Entries between two turns of the event loop. */
const TURN = 200;
const GIB = 1024 ** 3;

const amount = (bytes: number): string => (bytes % GIB === 0 ? `${bytes / GIB} GiB` : `${bytes} bytes`);
const codeOf = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? "";
const GONE = ["ENOENT", "ENOTDIR", "ELOOP", "EINVAL"];

/** @returns null for an entry that has disappeared during the walk, and so is not part of it */
function unlessGone<T>(look: () => T, codes = GONE): T | null {
  try {
    return look();
  } catch (error) {
    if (codes.includes(codeOf(error))) return null;
    throw error;
  }
}

class Walk {
  #entries = 0;
  #visited = 0;
  #bytes = 0;

  constructor(
    private readonly root: string,
    private readonly options: WalkOptions,
  ) {}

  #tooLarge(problem: string): UnsafePathError {
    const { hint } = this.options;
    return new UnsafePathError("too large", this.root, problem, { hint });
  }

  /** The names in a folder by its path, in order; none of a folder that has disappeared during the walk. */
  #names(at: string, depth: number): string[] {
    const { entries } = this.options.limits;
    const names: string[] = [];
    // The tree itself must be a folder.
    const folder = unlessGone(() => opendirSync(join(at, ".")), depth === 0 ? ["ENOENT"] : GONE);
    if (folder === null) return names;
    try {
      const next = () => unlessGone(() => folder.readSync());
      for (let entry = next(); entry !== null; entry = next()) {
        names.push(entry.name);
        if (this.#entries + names.length > entries)
          throw this.#tooLarge(`has more than ${entries.toLocaleString("en")} entries`);
      }
    } finally {
      folder.closeSync();
    }
    this.#entries += names.length;
    return names.sort();
  }

  /** @param at path of the folder's descriptor on Linux, else of the folder */
  async *folder(at: string, prefix: string, depth: number): AsyncGenerator<TreeEntry> {
    const { limits, choose } = this.options;
    if (depth > limits.depth) throw this.#tooLarge(`has folders nested deeper than ${limits.depth}`);
    for (const name of this.#names(at, depth)) {
      this.#visited += 1;
      if (this.#visited % TURN === 0) await nextTurn();
      const path = `${prefix}${name}`;
      const choice = choose(path);
      if (choice === "skip") continue;
      // A name that is not UTF-8 cannot be addressed, and is left out.
      const fd = unlessGone(() => openSync(join(at, name), STEP));
      if (fd === null) continue;
      try {
        yield* this.#entry(fd, join(at, name), { path, take: choice === "take" }, depth);
      } finally {
        closeSync(fd);
      }
    }
  }

  async *#entry(
    fd: number,
    at: string,
    { path, take }: { path: string; take: boolean },
    depth: number,
  ): AsyncGenerator<TreeEntry> {
    const stats = fstatSync(fd);
    const pinned = hasDescriptorPaths ? `/proc/self/fd/${fd}` : at;
    const entry = { path, stats, open: () => open(pinned, hasDescriptorPaths ? READ : STEP) };
    if (stats.isDirectory()) {
      if (take) yield entry;
      yield* this.folder(pinned, `${path}/`, depth + 1);
    } else if (!take) return;
    else if (stats.isSymbolicLink()) {
      const link = unlessGone(() => readlinkSync(at));
      if (link !== null) yield { ...entry, link };
    } else if (stats.isFile()) {
      this.#bytes += stats.size;
      if (this.#bytes > this.options.limits.bytes)
        throw this.#tooLarge(`has more than ${amount(this.options.limits.bytes)} of files`);
      yield entry;
    }
  }
}

/**
 * Yields folders before what they contain, by name. Named pipes, sockets, devices and names that are not UTF-8 are left
 * out. An entry is valid until the next one is requested.
 * @param path absolute, or relative to `within`
 * @throws UnsafePathError (INVALID_STACK): the tree leads outside, is not a folder, exceeds a limit, or cannot be read
 */
export async function* walkBeneath(path: string, options: WalkOptions): AsyncGenerator<TreeEntry> {
  const top = openBeneath(path, options.within);
  if (top === undefined) return;
  try {
    yield* new Walk(top.displayPath, options).folder(top.fd < 0 ? top.real : `/proc/self/fd/${top.fd}`, "", 0);
  } catch (error) {
    if (!["EACCES", "EPERM"].includes(codeOf(error))) throw error;
    throw new UnsafePathError("denied", top.displayPath, `holds something that cannot be read (${codeOf(error)})`, {
      hint: "Correct its permissions, or exclude it.",
      cause: error,
    });
  } finally {
    closeBeneath(top);
  }
}
