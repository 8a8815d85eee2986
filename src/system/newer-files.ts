/** Lists the files of a folder that are newer than a moment, without following a link out of it. */
import { closeSync, constants, lstatSync, opendirSync, openSync, type Stats } from "node:fs";
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import { closeBeneath, hasDescriptorPaths, O_PATH, openBeneath } from "./open-beneath.js";

export interface NewerFile {
  /** Relative to the folder; empty when the path itself is a file. */
  path: string;
  mtimeMs: number;
  uid: number;
}

export interface NewerFilesOptions {
  /** The folder that the path must be in, without links in its own path. */
  within: string;
  /** Epoch milliseconds: files with this or an older modification time are left out. */
  since: number;
  /** True for entries to leave out, folders with everything in them. The path is relative to the scanned folder. */
  skip(path: string, isFolder: boolean): boolean;
  /** Maximum number of entries. */
  maxEntries: number;
  /** Receives the path of every compared file, however old. */
  onFile?(path: string): void;
}

export interface NewerFiles {
  files: NewerFile[];
  /** Number of entries that were compared. */
  entries: number;
  /** False when there are more entries than `maxEntries`, or folders that are nested too deeply or unreadable. */
  complete: boolean;
}

const MAX_DEPTH = 40;
/** Entries between two turns of the event loop. */
const TURN = 500;
/** Clocks of network file systems and virtual machines differ by less. */
const FUTURE_MS = 1_000;
const STEP = O_PATH | constants.O_NOFOLLOW | constants.O_DIRECTORY;

interface Folder {
  fd: number;
  /** Path through which its entries are reached: of the descriptor on Linux, else the real path. */
  at: string;
}

function enter(parent: Folder, name: string): Folder | null {
  const path = join(parent.at, name);
  if (!hasDescriptorPaths) return { fd: -1, at: path };
  try {
    const fd = openSync(path, STEP);
    return { fd, at: `/proc/self/fd/${fd}` };
  } catch {
    return null;
  }
}

/**
 * Compares modification times. Links are not followed; a link's own time counts. A missing path has no files.
 * @param path absolute, or relative to `within`
 * @throws UnsafePathError when the path leads outside `within`
 */
export async function newerFiles(path: string, options: NewerFilesOptions): Promise<NewerFiles> {
  const { within, since, skip, maxEntries, onFile } = options;
  const result: NewerFiles = { files: [], entries: 0, complete: true };
  const beneath = openBeneath(path, within);
  if (beneath === undefined) return result;
  const now = Date.now();
  const add = (name: string, stats: Stats): void => {
    // A modification time in the future says nothing; the time of the last change of the entry is the kernel's.
    const mtimeMs = stats.mtimeMs > now + FUTURE_MS ? stats.ctimeMs : stats.mtimeMs;
    onFile?.(name);
    if (mtimeMs > since) result.files.push({ path: name, mtimeMs, uid: stats.uid });
  };
  const visit = async (folder: Folder, prefix: string, depth: number): Promise<void> => {
    let names: string[];
    try {
      const listing = opendirSync(`${folder.at}/.`);
      names = [];
      try {
        for (let entry = listing.readSync(); entry !== null; entry = listing.readSync()) {
          if (names.length >= maxEntries) break;
          names.push(entry.name);
        }
      } finally {
        listing.closeSync();
      }
    } catch {
      result.complete = false;
      return;
    }
    for (const name of names.sort()) {
      const shown = prefix === "" ? name : `${prefix}/${name}`;
      const stats = lstatSync(join(folder.at, name), { throwIfNoEntry: false });
      if (stats === undefined) continue;
      const isFolder = stats.isDirectory();
      if (skip(shown, isFolder)) continue;
      if (result.entries >= maxEntries) {
        result.complete = false;
        return;
      }
      result.entries += 1;
      if (result.entries % TURN === 0) await nextTurn();
      if (!isFolder) {
        if (stats.isFile() || stats.isSymbolicLink()) add(shown, stats);
        continue;
      }
      const inner = depth >= MAX_DEPTH ? null : enter(folder, name);
      if (inner === null) {
        result.complete = false;
        continue;
      }
      try {
        await visit(inner, shown, depth + 1);
      } finally {
        if (inner.fd >= 0) closeSync(inner.fd);
      }
    }
  };
  try {
    if (!beneath.stats.isDirectory()) {
      result.entries = 1;
      if (beneath.stats.isFile()) add("", beneath.stats);
      return result;
    }
    const at = beneath.fd < 0 ? beneath.real : `/proc/self/fd/${beneath.fd}`;
    await visit({ fd: beneath.fd, at }, "", 0);
    return result;
  } finally {
    closeBeneath(beneath);
  }
}
