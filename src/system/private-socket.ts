/** Private sockets: their paths, the check that only this user could have created them, and listening. */
import { createHash } from "node:crypto";
import { chmod, lstat, mkdir } from "node:fs/promises";
import type { Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { StackwardenError } from "../errors.js";
import { storageError } from "./atomic-write.js";

/**
 * Longest path of a Unix socket on every system: the kernel's limit with the final NUL is 108 bytes on Linux, 104 on
 * macOS. A state directory has no such limit.
 */
export const MAX_SOCKET_BYTES = 103;
const PRIVATE = 0o700;

export interface SocketPathOptions {
  platform?: NodeJS.Platform;
  uid?: number;
  temporary?: string;
}

/**
 * The first of the paths that is short enough, else one in a folder of this user below the temporary directory; on
 * Windows a named pipe. Both sides of a connection compute it, so that nothing has to be stored.
 * @param kind begins the name where it lies among others
 * @param of what it is the socket of
 */
export function socketPath(
  kind: string,
  of: string,
  inside: readonly string[],
  { platform = process.platform, uid = process.getuid?.() ?? 0, temporary = tmpdir() }: SocketPathOptions = {},
): string {
  const name = kind + createHash("sha256").update(of).digest("hex").slice(0, 20);
  if (platform === "win32") return `\\\\.\\pipe\\stackwarden-${name}`;
  const short = inside.find((path) => Buffer.byteLength(path) <= MAX_SOCKET_BYTES);
  return short ?? join(temporary, `stackwarden-${uid}`, `${name}.sock`);
}

/**
 * Checks before a socket is trusted that only this user can enter its folder.
 * @returns false when the folder does not exist
 * @throws StackwardenError STORAGE_FAILED when another user could have created the socket
 */
export async function requirePrivateFolder(folder: string, uid = process.getuid?.()): Promise<boolean> {
  if (uid === undefined) return true;
  const entry = await lstat(folder).catch(() => null);
  if (entry === null) return false;
  if (entry.isDirectory() && entry.uid === uid && (entry.mode & 0o077) === 0) return true;
  throw new StackwardenError("STORAGE_FAILED", `${folder} is not a private folder of this user.`, {
    hint:
      entry.uid === uid
        ? `Make it private: chmod 700 ${folder}`
        : "It belongs to another user: call as that user, or choose another state directory with --state-dir.",
    details: { folder, owner: entry.uid, mode: (entry.mode & 0o777).toString(8) },
  });
}

/** @throws StackwardenError STORAGE_FAILED when it cannot be created or belongs to another user */
export async function makePrivateFolder(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: PRIVATE }).catch((error: unknown) => {
    throw storageError(`${folder} cannot be created`, error);
  });
  await requirePrivateFolder(folder);
}

/**
 * Listens with mode 0600.
 * @throws the system's error
 */
export async function listenPrivately(server: Server, path: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    // The mask makes the socket private from its first moment; listen() binds before it returns.
    const mask = process.umask(0o177);
    try {
      server.listen(path, () => {
        server.off("error", reject);
        // A connection that cannot be accepted, for example for lack of memory, must not end the server.
        server.on("error", () => undefined);
        resolve();
      });
    } finally {
      process.umask(mask);
    }
  });
  if (process.platform !== "win32") await chmod(path, 0o600);
}
