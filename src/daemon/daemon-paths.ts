/** Paths of the background server: in the state directory, in a folder that only the user can enter. */
import { dirname, join } from "node:path";
import { ensureTraversableDir } from "../system/atomic-write.js";
import {
  makePrivateFolder,
  requirePrivateFolder,
  type SocketPathOptions,
  socketPath,
} from "../system/private-socket.js";

export interface DaemonPaths {
  /** Mode 0700, so that other users reach neither the socket nor the key. */
  folder: string;
  socket: string;
  /** Names the server process. */
  lock: string;
  /** Version, process id and key for clients (mode 0600). */
  info: string;
  log: string;
}

export interface DaemonInfo {
  pid: number;
  version: string;
  /** Every client sends it; being able to read it proves that the client is this user. */
  key: string;
}

export function daemonPaths(stateDir: string, options: SocketPathOptions = {}): DaemonPaths {
  const folder = join(stateDir, "server");
  const file = (name: string): string => join(folder, name);
  const socket = socketPath("server-", stateDir, [file("server.sock")], options);
  return { folder, socket, lock: file("lock"), info: file("server.json"), log: file("server.log") };
}

/**
 * Creates the folders and checks that only this user can enter them.
 * @throws StackwardenError STORAGE_FAILED when they cannot be created or belong to another user
 */
export async function prepareDaemonFolder(stateDir: string, place: DaemonPaths): Promise<void> {
  await ensureTraversableDir(stateDir);
  for (const folder of foldersOf(place)) await makePrivateFolder(folder);
}

/**
 * Checks before a socket is trusted that only this user can enter its folder.
 * @returns false when the folder does not exist
 * @throws StackwardenError STORAGE_FAILED when another user could have created the socket
 */
export async function requirePrivate(place: DaemonPaths, uid = process.getuid?.()): Promise<boolean> {
  for (const folder of foldersOf(place)) if (!(await requirePrivateFolder(folder, uid))) return false;
  return true;
}

function foldersOf({ folder, socket }: DaemonPaths): string[] {
  if (process.platform === "win32") return [folder];
  return [...new Set([folder, dirname(socket)])];
}
