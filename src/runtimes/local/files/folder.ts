/**
 * A folder by its descriptor. Its entries are addressed relative to that descriptor (`/proc/self/fd/N/name`), so
 * changes to the path above them cannot redirect the server. On platforms where descriptors are not paths (macOS),
 * services run as the server's own user and gain nothing by a redirect; there the path itself is used.
 */
import { constants, type Stats } from "node:fs";
import { type FileHandle, lstat, open, opendir } from "node:fs/promises";
import { hasDescriptorPaths, O_PATH } from "../../../system/open-beneath.js";

const FOLDER = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
const BATCH = 256;

/** The path that refers to an open descriptor. */
const descriptorPath = (handle: FileHandle): string => `/proc/self/fd/${handle.fd}`;

/** The name of an entry: bytes where they are not UTF-8, which Linux permits. */
export type Name = string | Buffer;
export type Path = string | Buffer;

const nameOf = (bytes: Buffer): Name => {
  const text = bytes.toString();
  return Buffer.from(text).equals(bytes) ? text : bytes;
};

/** The path of an entry in a folder. */
export const pathTo = (folder: Path, name: Name): Path =>
  typeof folder === "string" && typeof name === "string"
    ? `${folder}/${name}`
    : Buffer.concat([Buffer.from(folder), Buffer.from("/"), Buffer.from(name)]);

export class Folder {
  private constructor(
    private readonly base: string,
    private readonly handle: FileHandle,
    readonly stats: Stats,
  ) {}

  /**
   * @param path only the server may change its parent folders
   * @throws ENOTDIR or ELOOP when the entry is a link or a file
   */
  static async open(path: Path): Promise<Folder> {
    const handle = await open(path, FOLDER);
    try {
      return new Folder(hasDescriptorPaths ? descriptorPath(handle) : path.toString(), handle, await handle.stat());
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  /** The path of an entry; valid while this folder is open. */
  at(name: string): string;
  at(name: Name): Path;
  at(name: Name): Path {
    return pathTo(this.base, name);
  }

  /** @throws ENOTDIR or ELOOP when the entry is not a folder */
  folder(name: Name): Promise<Folder> {
    return Folder.open(this.at(name));
  }

  /** At most `most` names, unordered. They can include entries that are removed during the call. */
  async names(most = Number.POSITIVE_INFINITY): Promise<Name[]> {
    const names: Name[] = [];
    const entries = await opendir(this.at("."), { bufferSize: BATCH, encoding: "buffer" as never });
    try {
      while (names.length < most) {
        const entry = await entries.read();
        if (entry === null) break;
        names.push(nameOf(entry.name as unknown as Buffer));
      }
    } finally {
      await entries.close();
    }
    return names;
  }

  /** @returns null when the entry is missing */
  entry(name: Name): Promise<Entry | null> {
    return Entry.open(this.at(name));
  }

  chown(uid: number, gid: number): Promise<void> {
    return this.handle.chown(uid, gid);
  }

  chmod(mode: number): Promise<void> {
    return this.handle.chmod(mode);
  }

  close(): Promise<void> {
    return this.handle.close();
  }
}

/** One entry of a folder: `stats` and `path` refer to the same inode, even when its name is reused. */
export class Entry {
  private constructor(
    readonly path: string,
    readonly stats: Stats,
    private readonly handle: FileHandle | null,
  ) {}

  static async open(at: Path): Promise<Entry | null> {
    // On other platforms an entry cannot be opened without side effects; `at` is a path of the server's own user there.
    if (!hasDescriptorPaths) {
      const stats = await lstat(at).catch(unlessMissing);
      return stats === null ? null : new Entry(at.toString(), stats, null);
    }
    const handle = await open(at, O_PATH | constants.O_NOFOLLOW).catch(unlessMissing);
    if (handle === null) return null;
    try {
      return new Entry(descriptorPath(handle), await handle.stat(), handle);
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  async close(): Promise<void> {
    await this.handle?.close();
  }
}

function unlessMissing(error: NodeJS.ErrnoException): null {
  if (error.code === "ENOENT") return null;
  throw error;
}
