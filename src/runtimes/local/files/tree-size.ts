/** Measures the size of file trees. */
import { Budget } from "./budget.js";
import { Folder } from "./folder.js";

const MAX_ENTRIES = 500_000;
const MAX_MS = 30_000;
const MAX_DEPTH = 100;

class TooMuch extends Error {}

/**
 * Total bytes of the regular files in a tree whose content a service controls; Infinity when it has too many entries to
 * count.
 * @param path only the server may change its parent folder
 */
export async function treeSize(path: string): Promise<number> {
  const budget = new Budget({ entries: MAX_ENTRIES, milliseconds: MAX_MS }, () => new TooMuch());
  let bytes = 0;
  const count = async (folder: Folder, depth: number): Promise<void> => {
    if (depth > MAX_DEPTH) throw new TooMuch();
    for (const name of await folder.names(budget.entriesLeft + 1)) {
      budget.entry();
      const entry = await folder.entry(name);
      if (entry === null) continue;
      try {
        if (entry.stats.isFile()) bytes += entry.stats.size;
        if (!entry.stats.isDirectory()) continue;
        const below = await Folder.open(`${entry.path}/.`);
        try {
          await count(below, depth + 1);
        } finally {
          await below.close();
        }
      } finally {
        await entry.close();
      }
    }
  };
  const top = await Folder.open(path);
  try {
    await count(top, 0);
    return bytes;
  } catch (error) {
    if (error instanceof TooMuch) return Number.POSITIVE_INFINITY;
    throw error;
  } finally {
    await top.close();
  }
}
