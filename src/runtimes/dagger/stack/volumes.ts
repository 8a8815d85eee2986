/**
 * Named volumes as cache volumes of an engine. An engine never forgets the key of a cache volume. The key is therefore
 * random and stored with the project: deleting a volume means a new key, and two servers on one engine never share one.
 */
import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { atomicWrite, storageError } from "../../../system/atomic-write.js";
import { KeyedMutex } from "../../../system/keyed-mutex.js";

export interface VolumeRecord {
  key: string;
  /** Information for emptying the volume: the image that used it, the user, and the engine. */
  image?: string;
  user?: string;
  runnerHost: string | null;
}

type Records = Record<string, VolumeRecord>;

const FILE = "dagger-volumes.json";
const writers = new KeyedMutex();

async function read(stateDir: string): Promise<Records> {
  const path = join(stateDir, FILE);
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return Object.create(null) as Records;
    throw storageError(`${path} cannot be read`, error);
  }
  try {
    return Object.assign(Object.create(null), JSON.parse(text)) as Records;
  } catch (error) {
    // A new key would lose the data silently.
    throw storageError(`${path} is damaged`, error);
  }
}

const write = (stateDir: string, records: Records): Promise<void> =>
  atomicWrite(join(stateDir, FILE), `${JSON.stringify(records, null, 2)}\n`);

/**
 * The volume's key on this engine; created at its first use.
 * @throws STORAGE_FAILED
 */
export function volumeKey(
  stateDir: string,
  project: string,
  volume: string,
  used: Omit<VolumeRecord, "key">,
): Promise<string> {
  return writers.run([stateDir], async () => {
    const records = await read(stateDir);
    // On another engine it is another volume.
    const name = `${volume}@${used.runnerHost ?? ""}`;
    const before = records[name];
    if (before !== undefined) return before.key;
    const key = `stackwarden-${project}-${volume}-${randomBytes(8).toString("hex")}`;
    records[name] = { key, ...used };
    await write(stateDir, records);
    return key;
  });
}

/** Names of the volumes that the project has on any engine. */
export async function volumeNames(stateDir: string): Promise<string[]> {
  return [...new Set(Object.keys(await read(stateDir)).map((name) => name.slice(0, name.indexOf("@"))))];
}

/**
 * Forgets volumes on every engine: from now on their names refer to new, empty ones.
 * @returns the records of the volumes that existed
 */
export function forgetVolumes(stateDir: string, volumes: string[]): Promise<VolumeRecord[]> {
  return writers.run([stateDir], async () => {
    const records = await read(stateDir);
    const names = Object.keys(records).filter((name) => volumes.includes(name.slice(0, name.indexOf("@"))));
    const removed = names.flatMap((name) => records[name] ?? []);
    for (const name of names) delete records[name];
    if (removed.length > 0) await write(stateDir, records);
    return removed;
  });
}
