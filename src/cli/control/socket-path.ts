/**
 * Where a project's control socket is. Both sides compute it, so nothing has to be stored.
 * A socket's path is limited by the kernel (108 bytes on Linux, 104 on macOS), a state directory is not.
 */
import { createHash } from "node:crypto";
import { lstat, mkdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { StackwardenError } from "../../stack/errors.js";

const MAX_BYTES = 103;

export interface SocketPlace {
  path: string;
  /** True when it lies outside the state directory, in a folder anybody could have made. */
  shared: boolean;
}

export function controlSocket(
  stateDir: string,
  project: string,
  { platform = process.platform, uid = process.getuid?.() ?? 0, temporary = tmpdir() } = {},
): SocketPlace {
  const digest = createHash("sha256").update(`${stateDir}\0${project}`).digest("hex").slice(0, 20);
  if (platform === "win32") return { path: `\\\\.\\pipe\\stackwarden-${digest}`, shared: false };
  const inside = [join(stateDir, "projects", project, "control.sock"), join(stateDir, "run", `${digest}.sock`)];
  const path = inside.find((candidate) => Buffer.byteLength(candidate) <= MAX_BYTES);
  if (path !== undefined) return { path, shared: false };
  return { path: join(temporary, `stackwarden-${uid}`, `${digest}.sock`), shared: true };
}

/**
 * Makes sure that a shared folder is ours alone before a socket in it is used.
 * @throws StackwardenError STORAGE_FAILED when somebody else made it
 */
export async function securePlace(place: SocketPlace, uid = process.getuid?.() ?? 0): Promise<void> {
  if (process.platform === "win32") return;
  const folder = dirname(place.path);
  await mkdir(folder, { recursive: true, mode: place.shared ? 0o700 : 0o711 });
  if (!place.shared) return;
  const entry = await lstat(folder);
  if (entry.isDirectory() && entry.uid === uid && (entry.mode & 0o077) === 0) return;
  throw new StackwardenError("STORAGE_FAILED", `${folder} is not a private folder of this user.`, {
    hint: `Remove ${folder}, or choose a shorter state directory with --state-dir.`,
  });
}
