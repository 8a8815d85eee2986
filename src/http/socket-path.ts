/** Where the HTTP door's socket file is, unless the operator says otherwise. */
import { createHash } from "node:crypto";
import { chmod, lstat, mkdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { StackwardenError } from "../stack/errors.js";

/** The kernel's limit is 108 on Linux, 104 on macOS. */
const MAX_BYTES = 103;

/**
 * A folder of the user's own, so that nobody else can put something in the socket's place.
 * @throws STORAGE_FAILED when that folder is somebody else's
 */
export async function httpSocket(stateDir: string): Promise<string> {
  const digest = createHash("sha256").update(stateDir).digest("hex").slice(0, 20);
  if (process.platform === "win32") return `\\\\.\\pipe\\stackwarden-http-${digest}`;
  const uid = process.getuid?.() ?? 0;
  const inside = join(stateDir, "http", "http.sock");
  const path =
    Buffer.byteLength(inside) <= MAX_BYTES ? inside : join(tmpdir(), `stackwarden-${uid}`, `http-${digest}.sock`);
  const folder = dirname(path);
  if ((await mkdir(folder, { recursive: true, mode: 0o700 })) !== undefined) await chmod(folder, 0o700);
  const entry = await lstat(folder);
  if (entry.isDirectory() && entry.uid === uid && (entry.mode & 0o077) === 0) return path;
  throw new StackwardenError("STORAGE_FAILED", `${folder} is not a private folder of this user.`, {
    hint: `Remove ${folder}, or name another socket with --socket.`,
  });
}
