/**
 * Snapshots of one project on disk: one private folder each, which is renamed to its final name when it is complete.
 * The data is owned by the services' users, but only the server can access the folder.
 */
import { randomBytes } from "node:crypto";
import { mkdir, readdir, readFile, rename, statfs } from "node:fs/promises";
import { join } from "node:path";
import { StackwardenError } from "../../errors.js";
import { atomicWrite, storageError } from "../../system/atomic-write.js";
import { removePrivate } from "../../system/remove-private.js";
import { SNAPSHOT_NAME } from "../project-id.js";
import { type Snapshot, snapshot } from "../schemas/snapshots.js";

const RECORD = "snapshot.json";
const DATA = "data";
const UNFINISHED = ".unfinished-";

/**
 * The name has a constant length: a longer name could make paths in a tree longer than the kernel permits, and the tree
 * could not be removed.
 */
const unfinishedName = (): string =>
  `${UNFINISHED}${String(process.pid).padStart(7, "0")}-${randomBytes(6).toString("hex")}`;

export interface UnfinishedSnapshot {
  /** Folder for the snapshot's data. */
  data: string;
  finish(record: Snapshot): Promise<void>;
  /** Deletes the unfinished snapshot. Idempotent; has no effect after `finish`. */
  discard(): Promise<void>;
}

export class SnapshotStore {
  /** @param folder folder of the snapshots; created on first use */
  constructor(private readonly folder: string) {}

  /** Complete snapshots, oldest first. */
  async list(): Promise<Snapshot[]> {
    const names = await readdir(this.folder).catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return [];
      throw storageError(`${this.folder} cannot be read`, error);
    });
    const records = await Promise.all(names.filter((name) => SNAPSHOT_NAME.test(name)).map((name) => this.#read(name)));
    return records
      .filter((one) => one !== null)
      .sort((a, b) => (a.created_at < b.created_at ? -1 : a.created_at > b.created_at ? 1 : 0));
  }

  /**
   * Finds a snapshot by name.
   * @throws UNKNOWN_SNAPSHOT that lists the valid names
   */
  async get(name: string): Promise<Snapshot> {
    const all = await this.list();
    const one = all.find((candidate) => candidate.name === name);
    if (one !== undefined) return one;
    const valid = all.map((candidate) => candidate.name);
    throw new StackwardenError("UNKNOWN_SNAPSHOT", `Unknown snapshot ${JSON.stringify(name.slice(0, 64))}.`, {
      hint: `Snapshots: ${valid.join(", ") || "none"}.`,
      details: { valid },
    });
  }

  dataOf(name: string): string {
    return join(this.folder, name, DATA);
  }

  /** Free bytes on the disk. */
  async free(): Promise<number> {
    await this.#make();
    const { bavail, bsize } = await statfs(this.folder).catch((error: unknown) => {
      throw storageError(`The free space of ${this.folder} cannot be read`, error);
    });
    return bavail * bsize;
  }

  async begin(): Promise<UnfinishedSnapshot> {
    await this.#make();
    await this.#sweep();
    const path = join(this.folder, unfinishedName());
    const data = join(path, DATA);
    let finished = false;
    try {
      await mkdir(path, { mode: 0o700 });
      await mkdir(data, { mode: 0o700 });
    } catch (error) {
      throw storageError("A snapshot cannot be created", error);
    }
    return {
      data,
      finish: async (record) => {
        await atomicWrite(join(path, RECORD), `${JSON.stringify(record, null, 2)}\n`);
        await rename(path, join(this.folder, record.name)).catch((error: unknown) => {
          throw storageError(`The snapshot ${record.name} cannot be stored`, error);
        });
        finished = true;
      },
      discard: async () => {
        if (!finished) await this.#remove(path);
      },
    };
  }

  async remove(name: string): Promise<void> {
    // Rename the folder first, so that a partially deleted snapshot is never restored.
    const trash = join(this.folder, unfinishedName());
    await rename(join(this.folder, name), trash).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOENT") throw storageError(`The snapshot ${name} cannot be removed`, error);
    });
    await this.#remove(trash);
  }

  async #read(name: string): Promise<Snapshot | null> {
    try {
      const record = snapshot.parse(JSON.parse(await readFile(join(this.folder, name, RECORD), "utf8")));
      return { ...record, name };
    } catch {
      // Ignore a folder without a valid record.
      return null;
    }
  }

  async #make(): Promise<void> {
    await mkdir(this.folder, { recursive: true, mode: 0o700 }).catch((error: unknown) => {
      throw storageError(`${this.folder} cannot be created`, error);
    });
  }

  #remove(path: string): Promise<void> {
    return removePrivate(path).catch((error: unknown) => {
      throw storageError("A snapshot cannot be removed", error);
    });
  }

  /** Deletes unfinished snapshots of servers that ended during a save. */
  async #sweep(): Promise<void> {
    const names = await readdir(this.folder).catch((error: unknown) => {
      throw storageError(`${this.folder} cannot be read`, error);
    });
    for (const name of names) {
      const pid = name.startsWith(UNFINISHED) ? Number.parseInt(name.slice(UNFINISHED.length), 10) : null;
      if (pid !== null && pid !== process.pid) await this.#remove(join(this.folder, name));
    }
  }
}
