/**
 * Records the instances that mount named volumes and whose exit was not observed. When a session, the server or the
 * engine dies, the engine keeps containers for some seconds. A second database on the same volume would then run
 * recovery while the first one is still running, so the next start ends the previous instance first.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { atomicWrite, storageError } from "../../../system/atomic-write.js";
import { KeyedMutex } from "../../../system/keyed-mutex.js";

interface VolumeUser {
  volumes: string[];
  /** The engine; null: the CLI's own choice. */
  runnerHost: string | null;
}

type Records = Record<string, VolumeUser>;

const FILE = "dagger-instances.json";
const writers = new KeyedMutex();

async function read(stateDir: string): Promise<Records> {
  const path = join(stateDir, FILE);
  try {
    return Object.assign(Object.create(null), JSON.parse(await readFile(path, "utf8"))) as Records;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return Object.create(null) as Records;
    throw storageError(`Cannot read ${path}`, error);
  }
}

async function change(stateDir: string, edit: (records: Records) => boolean): Promise<void> {
  await writers.run([stateDir], async () => {
    const records = await read(stateDir);
    if (edit(records)) await atomicWrite(join(stateDir, FILE), `${JSON.stringify(records, null, 2)}\n`);
  });
}

/** Records an instance before it starts. @throws STORAGE_FAILED */
export const recordVolumeUser = (stateDir: string, instance: string, user: VolumeUser): Promise<void> =>
  change(stateDir, (records) => {
    records[instance] = user;
    return true;
  });

/**
 * Removes the records of instances whose exit was observed.
 * @throws STORAGE_FAILED
 */
export const forgetVolumeUsers = (stateDir: string, instances: readonly string[]): Promise<void> =>
  change(stateDir, (records) => {
    const known = instances.filter((instance) => instance in records);
    for (const instance of known) delete records[instance];
    return known.length > 0;
  });

/** The recorded instances that mount one of these volumes on this engine. @throws STORAGE_FAILED */
export async function formerVolumeUsers(
  stateDir: string,
  { volumes, runnerHost }: VolumeUser,
  running: ReadonlySet<string>,
): Promise<string[]> {
  return Object.entries(await read(stateDir))
    .filter(([instance, user]) => !running.has(instance) && user.runnerHost === runnerHost)
    .filter(([, user]) => user.volumes.some((volume) => volumes.includes(volume)))
    .map(([instance]) => instance);
}
