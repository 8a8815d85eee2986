/** Where the HTTP door's socket file is, unless the operator says otherwise. */
import { dirname, join } from "node:path";
import { makePrivateFolder, socketPath } from "../system/private-socket.js";

/**
 * In a folder of the user's own, so that nobody else can put something in the socket's place.
 * @throws STORAGE_FAILED when that folder is somebody else's, or cannot be made
 */
export async function httpSocket(stateDir: string): Promise<string> {
  const path = socketPath("http-", stateDir, [join(stateDir, "http", "http.sock")]);
  if (process.platform !== "win32") await makePrivateFolder(dirname(path));
  return path;
}
