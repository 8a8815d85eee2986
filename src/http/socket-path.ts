/** The default path of the HTTP server's socket file. */
import { dirname, join } from "node:path";
import { makePrivateFolder, socketPath } from "../system/private-socket.js";

/**
 * In a private folder, so that other users cannot replace the socket.
 * @throws STORAGE_FAILED when the folder belongs to another user or cannot be created
 */
export async function httpSocket(stateDir: string): Promise<string> {
  const path = socketPath("http-", stateDir, [join(stateDir, "http", "http.sock")]);
  if (process.platform !== "win32") await makePrivateFolder(dirname(path));
  return path;
}
