/**
 * The machine-wide record of the user id of each service. All servers and state directories share it: a service is
 * ended by its user id, and can read every file that this user id can read.
 */
import { existsSync } from "node:fs";
import { lstat, mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { StackwardenError } from "../../../errors.js";
import { atomicWrite } from "../../../system/atomic-write.js";
import { takeLock } from "../../../system/lock-file.js";
import { FIRST_UID, isServiceUid, LAST_UID, takenIds } from "./user-range.js";

/**
 * Beside root's default state directory and not inside it, because each state directory has its own record. The second
 * path is the fallback when the first is not writable; it is cleared by a reboot.
 */
const DIRECTORIES = ["/var/lib/stackwarden-users", "/run/stackwarden-users"];
const LOCK_MS = 10_000;

/** `project/service` → user id, for each state directory. */
type Users = Record<string, Record<string, number>>;
interface Registry {
  /** Next id to try: ids are not reused before all have been used. */
  next: number;
  users: Users;
}

const damaged = (file: string, cause: unknown): StackwardenError =>
  new StackwardenError("STORAGE_FAILED", `${file} is damaged or cannot be read.`, {
    hint: "It records which user owns which service's data. Restore it, or remove it while no stackwarden server runs.",
    cause,
  });

/** @throws STORAGE_FAILED when another user could change the directory */
async function usable(directory: string): Promise<string | null> {
  try {
    await mkdir(directory, { recursive: true, mode: 0o755 });
  } catch {
    return null;
  }
  const { uid, mode } = await lstat(directory);
  if (uid === process.getuid?.() && (mode & 0o170000) === 0o040000 && (mode & 0o022) === 0) return directory;
  throw new StackwardenError("STORAGE_FAILED", `${directory} can be changed by other users than root.`, {
    hint: `Make it a directory of root with mode 0755: chown root:root ${directory} && chmod 755 ${directory}`,
  });
}

/** @throws STORAGE_FAILED */
export async function registryDirectory(candidates: readonly string[] = DIRECTORIES): Promise<string> {
  for (const candidate of candidates) {
    const directory = await usable(candidate);
    if (directory !== null) return directory;
  }
  throw new StackwardenError("STORAGE_FAILED", `Neither of ${candidates.join(", ")} can be created.`, {
    hint: "A server that runs as root records the users of its services there: make one of them writable.",
  });
}

async function load(file: string): Promise<Registry> {
  const text = await readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return JSON.stringify({ next: FIRST_UID, users: {} });
    throw damaged(file, error);
  });
  try {
    const { next, users } = JSON.parse(text) as Registry;
    const ids = Object.values(users).flatMap((services) => Object.values(services));
    // Another service with the same id could read the first one's data.
    if (!Number.isInteger(next) || !ids.every(isServiceUid) || new Set(ids).size !== ids.length)
      throw new Error("not a record of user ids");
    return { next, users };
  } catch (error) {
    throw damaged(file, error);
  }
}

async function locked<T>(file: string, task: () => Promise<T>): Promise<T> {
  const end = Date.now() + LOCK_MS;
  for (;;) {
    const { lock } = await takeLock(file);
    if (lock !== null) {
      try {
        return await task();
      } finally {
        await lock.release();
      }
    }
    if (Date.now() > end)
      throw new StackwardenError("STORAGE_FAILED", `${file} has been locked for ${LOCK_MS / 1000} s.`, {
        hint: "Another stackwarden server hangs: end the process that the file names.",
      });
    await sleep(10);
  }
}

/** The next id that is not used by a service, a user or a container range. */
function free(registry: Registry, taken: (uid: number) => boolean, file: string): number {
  const used = new Set(Object.values(registry.users).flatMap((services) => Object.values(services)));
  const size = LAST_UID - FIRST_UID + 1;
  for (let step = 0; step < size; step += 1) {
    const uid = FIRST_UID + ((registry.next - FIRST_UID + step) % size);
    if (used.has(uid) || taken(uid)) continue;
    registry.next = uid === LAST_UID ? FIRST_UID : uid + 1;
    return uid;
  }
  throw new StackwardenError("STORAGE_FAILED", `All user ids from ${FIRST_UID} to ${LAST_UID} are in use.`, {
    hint: `Remove state directories that are not needed any more; ${file} lists them.`,
  });
}

/**
 * Returns the id of a service, and assigns one when it has none.
 * @param registered ids that the state directory remembers; they are kept when they are still free
 * @throws STORAGE_FAILED
 */
export async function allocateUid(
  request: { directory: string; stateDir: string; key: string; registered: ReadonlyMap<string, number> },
  etc?: string,
): Promise<{ uid: number; services: Record<string, number> }> {
  const { directory, stateDir, key, registered } = request;
  const file = join(directory, "uids.json");
  return locked(`${file}.lock`, async () => {
    const registry = await load(file);
    // A removed state directory has no services on this machine any more.
    for (const other of Object.keys(registry.users)) if (!existsSync(other)) delete registry.users[other];
    const before = JSON.stringify(registry.users);
    const taken = await takenIds(etc);
    const used = new Set(Object.values(registry.users).flatMap((services) => Object.values(services)));
    const services: Record<string, number> = { ...registry.users[stateDir] };
    for (const [name, uid] of registered)
      if (services[name] === undefined && isServiceUid(uid) && !used.has(uid) && !taken(uid)) services[name] = uid;
    registry.users[stateDir] = services;
    const uid = services[key] ?? free(registry, taken, file);
    services[key] = uid;
    if (JSON.stringify(registry.users) !== before) await atomicWrite(file, `${JSON.stringify(registry, null, 1)}\n`);
    return { uid, services };
  });
}
