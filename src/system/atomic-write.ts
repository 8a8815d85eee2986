/** What is written below the state directory: folders that services pass through, files that are there whole or not at all. */
import { randomBytes } from "node:crypto";
import { chmod, mkdir, open, readdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { StackwardenError } from "../errors.js";
import { isAlive } from "./process-identity.js";
import { followTrusted } from "./trusted-path.js";

export const storageError = (what: string, cause: unknown): StackwardenError =>
  new StackwardenError("STORAGE_FAILED", `${what}: ${(cause as NodeJS.ErrnoException).code ?? "unknown fault"}.`, {
    hint: "Free space or correct the permissions of the state directory (STACKWARDEN_STATE_DIR), then call again.",
    cause,
  });

/** Mode 0711: services reach their own 0700 folders through it, and other users cannot list it. */
const PASSABLE = 0o711;

/**
 * Makes a folder of the server's own that services pass through.
 * @throws STORAGE_FAILED when it cannot be made, or another user created it or could replace it or write in it
 */
export async function ensureTraversableDir(folder: string): Promise<void> {
  try {
    const created = await mkdir(folder, { recursive: true, mode: PASSABLE });
    // The umask may have taken more than it should.
    if (created !== undefined) await chmod(folder, PASSABLE);
  } catch (error) {
    throw storageError(`${folder} cannot be created`, error);
  }
  await requireOwnFolder(folder);
}

/** @throws STORAGE_FAILED for a folder that another user created, can write or can replace */
export async function requireOwnFolder(
  folder: string,
  uid = process.getuid?.(),
  gid = process.getgid?.(),
): Promise<void> {
  if (uid === undefined) return;
  let reason: string | null;
  try {
    const { real, reason: others } = await followTrusted(folder, { uid, gid, end: "directory" });
    const owner = (await stat(folder)).uid;
    reason = others ?? (owner === uid ? null : `${real} belongs to user ${owner}`);
  } catch (error) {
    throw storageError(`${folder} cannot be checked`, error);
  }
  if (reason === null) return;
  throw new StackwardenError("STORAGE_FAILED", `${folder} is not safe from other users: ${reason}.`, {
    hint: "Choose a directory that only this user and root can change, with --state-dir or STACKWARDEN_STATE_DIR, or correct its owner and mode.",
    details: { folder },
  });
}

/**
 * Replaces a file in one step.
 * @param durable whether the new file must survive a crash of the machine; default true
 * @throws STORAGE_FAILED; the old file then is as it was
 */
export async function atomicWrite(file: string, text: string, mode = 0o600, durable = true): Promise<void> {
  const temporary = `${file}.${process.pid}.${randomBytes(4).toString("hex")}`;
  try {
    const handle = await open(temporary, "wx", mode);
    try {
      await handle.writeFile(text);
      if (durable) await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw storageError(`${file} cannot be written`, error);
  }
}

/** What `writeWhole`, and locks that are made whole, call a file until it is finished. */
const UNFINISHED = /\.(\d+)\.[0-9a-f]{8}$/;

/** Removes what processes that are gone left in a folder in the middle of writing its files. */
export async function removeUnfinished(folder: string): Promise<void> {
  for (const name of await readdir(folder).catch((): string[] => [])) {
    const pid = UNFINISHED.exec(name)?.[1];
    if (pid !== undefined && !isAlive(Number(pid), null))
      await rm(join(folder, name), { force: true }).catch(() => undefined);
  }
}
