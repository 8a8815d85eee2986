/** Reads files in folders that belong to a service's user. */
import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { Folder } from "./folder.js";
import { codeOf } from "./storage.js";

const DEFAULT_MAX_BYTES = 4096;

/**
 * @param folder only the server may change its parent folders
 * @returns null when the file is missing, is not a regular file (a link, a named pipe), or is larger than `maxBytes`
 */
export async function readOwnFile(folder: string, name: string, maxBytes = DEFAULT_MAX_BYTES): Promise<string | null> {
  return (await readOwnBytes(folder, name, maxBytes))?.toString("utf8") ?? null;
}

/** As `readOwnFile`. */
export async function readOwnBytes(folder: string, name: string, maxBytes: number): Promise<Buffer | null> {
  let opened: Folder;
  try {
    opened = await Folder.open(folder);
  } catch (error) {
    if (["ENOENT", "ENOTDIR", "ELOOP"].includes(codeOf(error))) return null;
    throw error;
  }
  try {
    const entry = await opened.entry(name);
    if (entry === null) return null;
    try {
      if (!entry.stats.isFile()) return null;
      const file = await open(entry.path, constants.O_RDONLY | constants.O_NONBLOCK);
      try {
        const { buffer, bytesRead } = await file.read(Buffer.alloc(maxBytes + 1), 0, maxBytes + 1, 0);
        return bytesRead > maxBytes ? null : buffer.subarray(0, bytesRead);
      } finally {
        await file.close();
      }
    } finally {
      await entry.close();
    }
  } finally {
    await opened.close();
  }
}
