/** Where the user's background server is found: below the state directory, in a folder that only the user may enter. */
import { dirname, join } from "node:path";
import { ensureTraversableDir } from "../system/atomic-write.js";
import {
  makePrivateFolder,
  requirePrivateFolder,
  type SocketPathOptions,
  socketPath,
} from "../system/private-socket.js";

export interface DaemonPaths {
  /** 0700: whoever cannot enter it reaches neither socket nor key. */
  folder: string;
  socket: string;
  /** Names the process that is the server. */
  lock: string;
  /** What a client must know: version, process, key (0600). */
  info: string;
  log: string;
}

export interface DaemonInfo {
  pid: number;
  version: string;
  /** Whoever can read it is this user: every client shows it. */
  key: string;
}

export function daemonPaths(stateDir: string, options: SocketPathOptions = {}): DaemonPaths {
  const folder = join(stateDir, "server");
  const file = (name: string): string => join(folder, name);
  const socket = socketPath("server-", stateDir, [file("server.sock")], options);
  return { folder, socket, lock: file("lock"), info: file("server.json"), log: file("server.log") };
}

/**
 * Makes the folders and sees that they are this user's alone.
 * @throws StackwardenError STORAGE_FAILED when they cannot be made, or are somebody else's
 */
export async function prepareDaemonFolder(stateDir: string, place: DaemonPaths): Promise<void> {
  await ensureTraversableDir(stateDir);
  for (const folder of foldersOf(place)) await makePrivateFolder(folder);
}

/**
 * Before a socket is trusted: its folder is a folder of this user that nobody else may enter.
 * @returns false when there is no such folder yet
 * @throws StackwardenError STORAGE_FAILED when somebody else could have put a socket there
 */
export async function requirePrivate(place: DaemonPaths, uid = process.getuid?.()): Promise<boolean> {
  for (const folder of foldersOf(place)) if (!(await requirePrivateFolder(folder, uid))) return false;
  return true;
}

function foldersOf({ folder, socket }: DaemonPaths): string[] {
  if (process.platform === "win32") return [folder];
  return [...new Set([folder, dirname(socket)])];
}
