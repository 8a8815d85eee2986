/** Where the user's background server is found: below the state directory, in a folder that only the user may enter. */
import { createHash } from "node:crypto";
import { lstat, mkdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { StackwardenError } from "../stack/errors.js";
import { makePassable, storageFailed } from "../stack/write-whole.js";

/** A socket's path is limited by the kernel (108 bytes on Linux, 104 on macOS), a state directory is not. */
const MAX_SOCKET_BYTES = 103;
const PRIVATE = 0o700;

export interface ServerPlace {
  /** 0700: whoever cannot enter it reaches neither socket nor key. */
  folder: string;
  socket: string;
  /** Names the process that is the server. */
  lock: string;
  /** What a client must know: version, process, key (0600). */
  info: string;
  log: string;
}

export interface ServerInfo {
  pid: number;
  version: string;
  /** Whoever can read it is this user: every client shows it. */
  key: string;
}

export function serverPlace(
  stateDir: string,
  { platform = process.platform, uid = process.getuid?.() ?? 0, temporary = tmpdir() } = {},
): ServerPlace {
  const folder = join(stateDir, "server");
  const digest = createHash("sha256").update(stateDir).digest("hex").slice(0, 20);
  const inside = join(folder, "server.sock");
  const socket =
    platform === "win32"
      ? `\\\\.\\pipe\\stackwarden-server-${digest}`
      : Buffer.byteLength(inside) <= MAX_SOCKET_BYTES
        ? inside
        : join(temporary, `stackwarden-${uid}`, `server-${digest}.sock`);
  const file = (name: string): string => join(folder, name);
  return { folder, socket, lock: file("lock"), info: file("server.json"), log: file("server.log") };
}

/**
 * Makes the folders and sees that they are this user's alone.
 * @throws StackwardenError STORAGE_FAILED when they cannot be made, or are somebody else's
 */
export async function prepareServerPlace(stateDir: string, place: ServerPlace): Promise<void> {
  await makePassable(stateDir);
  for (const folder of foldersOf(place))
    await mkdir(folder, { recursive: true, mode: PRIVATE }).catch((error: unknown) => {
      throw storageFailed(`${folder} cannot be made`, error);
    });
  await requirePrivate(place);
}

/**
 * Before a socket is trusted: its folder is a folder of this user that nobody else may enter.
 * @returns false when there is no such folder yet
 * @throws StackwardenError STORAGE_FAILED when somebody else could have put a socket there
 */
export async function requirePrivate(place: ServerPlace, uid = process.getuid?.()): Promise<boolean> {
  if (uid === undefined) return true;
  for (const folder of foldersOf(place)) {
    const entry = await lstat(folder).catch(() => null);
    if (entry === null) return false;
    if (entry.isDirectory() && entry.uid === uid && (entry.mode & 0o077) === 0) continue;
    throw new StackwardenError("STORAGE_FAILED", `${folder} is not a private folder of this user.`, {
      hint:
        entry.uid === uid
          ? `Make it private: chmod 700 ${folder}`
          : "Its stackwarden server belongs to another user: call as that user, or choose another state directory with --state-dir.",
      details: { folder, owner: entry.uid, mode: (entry.mode & 0o777).toString(8) },
    });
  }
  return true;
}

function foldersOf({ folder, socket }: ServerPlace): string[] {
  if (process.platform === "win32") return [folder];
  return [...new Set([folder, dirname(socket)])];
}
