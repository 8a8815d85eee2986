/** Copies named volumes into a folder of the server, and restores them from there. */
import { randomBytes } from "node:crypto";
import { readdir, rename } from "node:fs/promises";
import { join } from "node:path";
import type { CopyVolumesRequest, VolumesRequest } from "../../../stack/runtime.js";
import { snapshotTooLarge } from "../../shared/snapshot-too-large.js";
import { volumePath } from "../providers/provider-data.js";
import { copyData } from "./copy-data.js";
import { ensureDir } from "./create.js";
import { removeTree } from "./remove-tree.js";
import { codeOf, withStorage } from "./storage.js";

/**
 * Prefixes of a copy that is not in its place yet, and of the volume that it replaces. No name of a volume starts with
 * a dot.
 */
const FRESH = ".fresh-";
const FORMER = ".former-";

/** PostgreSQL's lock file, which names the running postmaster. A copy must not contain it. */
const LOCK = "pgdata/postmaster.pid";

export async function copyVolumes(request: CopyVolumesRequest, archiveDir: string): Promise<Record<string, number>> {
  const { stateDir, volumes, signal, maxBytes } = request;
  const copied: Record<string, number> = Object.create(null);
  let remainingBytes = maxBytes;
  const paths = volumes.map((name) => [name, volumePath(stateDir, name)] as const);
  for (const [name, from] of paths) {
    const bytes = await withStorage(`Copying the volume ${name}`, () =>
      copyData({
        from,
        to: join(archiveDir, name),
        exclude: (path) => path === LOCK,
        maxBytes: remainingBytes,
        signal,
        tooLarge: () => snapshotTooLarge(maxBytes),
      }),
    );
    if (bytes === null) continue;
    copied[name] = bytes;
    remainingBytes -= bytes;
  }
  return copied;
}

const exists = async (folder: string, name: string): Promise<boolean> => (await readdir(folder)).includes(name);

/** Rolls back a restore that was interrupted by the end of the server. */
export async function recoverRestores(stateDir: string): Promise<void> {
  const folder = join(stateDir, "volumes");
  const names = await readdir(folder).catch((error: unknown) => {
    if (codeOf(error) === "ENOENT") return [];
    throw error;
  });
  for (const name of names) {
    const path = join(folder, name);
    const volume = name.startsWith(FORMER) ? name.slice(FORMER.length) : null;
    if (volume !== null && !(await exists(folder, volume))) await rename(path, join(folder, volume));
    else if (volume !== null || name.startsWith(FRESH)) await removeTree(path, stateDir);
  }
}

/** Copy everything before replacing the first volume. */
export async function restoreVolumes(request: VolumesRequest, archiveDir: string): Promise<void> {
  const { stateDir, volumes, signal } = request;
  const places = volumes.map((name) => ({ name, path: volumePath(stateDir, name) }));
  const folder = await ensureDir(join(stateDir, "volumes"), 0o711);
  await withStorage("Restoring volumes", async () => {
    await recoverRestores(stateDir);
    const fresh: { name: string; path: string; staged: string | null }[] = [];
    try {
      for (const { name, path } of places) {
        const staged = join(folder, `${FRESH}${randomBytes(6).toString("hex")}`);
        const entry = { name, path, staged: staged as string | null };
        fresh.push(entry);
        const bytes = await copyData({
          from: join(archiveDir, name),
          to: staged,
          exclude: () => false,
          maxBytes: Number.POSITIVE_INFINITY,
          signal,
          tooLarge: () => snapshotTooLarge(Number.POSITIVE_INFINITY),
        });
        if (bytes === null) entry.staged = null;
      }
      signal.throwIfAborted();
      for (const { name, path, staged } of fresh) {
        if (await exists(folder, name)) await rename(path, join(folder, `${FORMER}${name}`));
        if (staged !== null) await rename(staged, path);
        await removeTree(join(folder, `${FORMER}${name}`), stateDir);
      }
    } finally {
      for (const { staged } of fresh) if (staged !== null) await removeTree(staged, stateDir).catch(() => undefined);
    }
  });
}
