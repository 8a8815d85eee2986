/** Removes a tree that no other user can enter, and that nothing changes meanwhile. */
import { chmod, readdir, rm } from "node:fs/promises";

const OPTIONS = { recursive: true, force: true, maxRetries: 3, retryDelay: 50 };
const SLASH = Buffer.from("/");

/** Lets their owner remove the entries of all folders. */
async function openFolders(path: Buffer): Promise<void> {
  await chmod(path, 0o700);
  for (const entry of await readdir(path, { withFileTypes: true, encoding: "buffer" }))
    if (entry.isDirectory()) await openFolders(Buffer.concat([path, SLASH, entry.name]));
}

/**
 * Copies of a service's data have the modes of the originals: a server that is not root cannot remove what is in a
 * folder without write permission.
 */
export async function removePrivate(path: string): Promise<void> {
  try {
    await rm(path, OPTIONS);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EACCES") throw error;
    await openFolders(Buffer.from(path));
    await rm(path, OPTIONS);
  }
}
