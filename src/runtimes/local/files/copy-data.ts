/**
 * Copies the data of a volume with owners, modes, times and links. Entries are copied from open descriptors, so a
 * service that replaces one meanwhile cannot redirect the copy. Blocks are shared where the file system supports
 * reflinks.
 */
import { closeSync, constants, openSync, readSync, writeFileSync } from "node:fs";
import { chmod, copyFile, lchown, mkdir, readlink, symlink, unlink, utimes } from "node:fs/promises";
import { StackwardenError } from "../../../errors.js";
import { isRootServer } from "../../../system/root-server.js";
import { Budget } from "./budget.js";
import { CHUNK, copyContent, READ } from "./copy-content.js";
import { type Entry, Folder, type Name, type Path, pathTo } from "./folder.js";

const MAX_DEPTH = 200;
const MAX_ENTRIES = 2_000_000;
/** Longest path of a folder in a copy, in bytes: the kernel's limit (4,096) without the longest name. */
const MAX_PATH = 3840;
const SMALL = 65_536;
const REFLINK = constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE_FORCE;

export interface CopyDataRequest {
  /** Source folder. Only the server may change its parent folder. */
  from: string;
  /** Destination, which must not exist. Only the server may enter its parent folder. */
  to: string;
  /** Whether an entry is left out, by its path relative to `from`. */
  exclude(path: string): boolean;
  maxBytes: number;
  signal: AbortSignal;
  /** Creates the error for data that exceeds `maxBytes`. */
  tooLarge(): Error;
}

const unfit = (what: string): StackwardenError =>
  new StackwardenError("SNAPSHOT_TOO_LARGE", `The data has ${what}, so that it cannot be copied.`, {
    hint: "Delete what is not needed from the volume.",
  });

class Copy {
  bytes = 0;
  readonly #budget: Budget;
  readonly #root = isRootServer();
  #sharesBlocks = true;
  #buffer: Buffer | undefined;

  constructor(private readonly request: CopyDataRequest) {
    this.#budget = new Budget({ bytes: request.maxBytes, entries: MAX_ENTRIES }, (what) =>
      what === "bytes" ? request.tooLarge() : unfit(`more than ${MAX_ENTRIES} entries`),
    );
  }

  /** @param inner the folder's path for `exclude` */
  async folder(source: Folder, to: Path, inner: string, depth: number): Promise<void> {
    if (depth > MAX_DEPTH || Buffer.byteLength(to) > MAX_PATH) throw unfit("folders that are nested too deep");
    await mkdir(to, { mode: 0o700 });
    for (const name of await source.names(this.#budget.entriesLeft + 1)) {
      const path = inner === "" ? name.toString() : `${inner}/${name}`;
      if (this.request.exclude(path)) continue;
      this.request.signal.throwIfAborted();
      this.#budget.entry();
      const entry = await source.entry(name);
      if (entry === null) continue;
      try {
        await this.#entry(source, entry, name, { to: pathTo(to, name), inner: path, depth });
      } finally {
        await entry.close();
      }
    }
    await this.#attributes(to, source);
  }

  async #entry(
    source: Folder,
    entry: Entry,
    name: Name,
    { to, inner, depth }: { to: Path; inner: string; depth: number },
  ): Promise<void> {
    const { stats } = entry;
    if (stats.isFile()) {
      this.#budget.bytes(stats.size);
      await this.#content(entry, to);
      await this.#attributes(to, entry);
      this.bytes += stats.size;
    } else if (stats.isSymbolicLink()) {
      const text = await readlink(source.at(name), { encoding: "buffer" }).catch(() => null);
      if (text === null) return;
      await symlink(text, to);
      if (this.#root) await lchown(to, stats.uid, stats.gid);
    } else if (stats.isDirectory()) {
      const below = await Folder.open(`${entry.path}/.`);
      try {
        await this.folder(below, to, inner, depth + 1);
      } finally {
        await below.close();
      }
    }
    // Sockets, pipes and devices are not data.
  }

  async #content({ path, stats: { size } }: Entry, to: Path): Promise<void> {
    if (this.#sharesBlocks) {
      this.#sharesBlocks = await copyFile(path, to, REFLINK).then(
        () => true,
        () => false,
      );
      if (this.#sharesBlocks) return;
    }
    this.#buffer ??= Buffer.allocUnsafe(CHUNK);
    const buffer = this.#buffer;
    // Without a reflink, copyFile does not end when the file becomes shorter meanwhile, and copies more than the budget
    // permits when it becomes longer.
    try {
      if (size <= SMALL) this.#small(path, to, size, buffer);
      else {
        const part = (): void => this.request.signal.throwIfAborted();
        await copyContent(path, to, { mode: 0o600, buffer, maxBytes: size, part });
      }
    } catch (error) {
      // It may be the file that filled the disk.
      await unlink(to).catch(() => undefined);
      throw error;
    }
  }

  /** For a small file, seven asynchronous calls take longer than its content. */
  #small(path: string, to: Path, size: number, buffer: Buffer): void {
    const source = openSync(path, READ);
    try {
      const bytes = size === 0 ? 0 : readSync(source, buffer, 0, size, null);
      writeFileSync(to, buffer.subarray(0, bytes), { flag: "wx", mode: 0o600 });
    } finally {
      closeSync(source);
    }
  }

  async #attributes(to: Path, { stats }: Pick<Entry, "stats">): Promise<void> {
    if (this.#root) await lchown(to, stats.uid, stats.gid);
    await chmod(to, stats.mode & 0o7777);
    await utimes(to, stats.atime, stats.mtime);
  }
}

/** @returns bytes of the regular files; null when there is no folder at `from` */
export async function copyData(request: CopyDataRequest): Promise<number | null> {
  let top: Folder;
  try {
    top = await Folder.open(request.from);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
  try {
    const copy = new Copy(request);
    await copy.folder(top, request.to, "", 0);
    return copy.bytes;
  } finally {
    await top.close();
  }
}
