/**
 * Named volumes as cache volumes of an engine. An engine never forgets the key of a cache volume. The key is therefore
 * random and stored with the project: deleting a volume means a new key, and two servers on one engine never share one.
 */
import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { atomicWrite, storageError } from "../../../system/atomic-write.js";
import { KeyedMutex } from "../../../system/keyed-mutex.js";

/** What an engine identifies a cache volume by: another owner means another volume. */
export interface CacheVolumeId {
  key: string;
  /** `uid:gid`; in records of earlier versions also a name. */
  owner?: string;
}

export interface VolumeRecord extends CacheVolumeId {
  /** The image that used the volume: its programs pack, unpack and delete the content. */
  image?: string;
  runnerHost: string | null;
  /** True when its engine already prevented a removal of the project. */
  removalFailed?: true;
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

/** On another engine it is another volume. */
const nameOf = (volume: string, runnerHost: string | null): string => `${volume}@${runnerHost ?? ""}`;

/** Prefix of the records of deleted volumes whose content an engine still has. No name of a volume starts with a dot. */
const DELETED = ".deleted-";

const volumeOf = (name: string): string => name.slice(0, name.indexOf("@"));

/** Records of earlier versions have the owner as `user`. */
const current = ({ user, ...record }: VolumeRecord & { user?: string }): VolumeRecord => ({
  ...record,
  ...(record.owner === undefined && user !== undefined ? { owner: user } : {}),
});

/**
 * The volume on this engine; recorded at its first use.
 * @param first called at the first use: the image and the owner
 * @throws STORAGE_FAILED
 */
export function cacheVolume(
  stateDir: string,
  { project, volume, runnerHost }: { project: string; volume: string; runnerHost: string | null },
  first: () => Promise<Omit<VolumeRecord, "key" | "runnerHost">>,
): Promise<VolumeRecord> {
  return writers.run([stateDir], async () => {
    const records = await read(stateDir);
    const name = nameOf(volume, runnerHost);
    const before = records[name];
    if (before !== undefined) return current(before);
    const record = { key: newKey(project, volume), ...(await first()), runnerHost };
    records[name] = record;
    await write(stateDir, records);
    return record;
  });
}

export const newKey = (project: string, volume: string): string =>
  `stackwarden-${project}-${volume}-${randomBytes(8).toString("hex")}`;

/** The recorded volumes of an engine by their names. @throws STORAGE_FAILED */
export async function volumesOn(stateDir: string, runnerHost: string | null): Promise<Map<string, VolumeRecord>> {
  const records = Object.entries(await read(stateDir)).filter(
    ([name, record]) => !name.startsWith(DELETED) && record.runnerHost === runnerHost,
  );
  return new Map(records.map(([name, record]) => [volumeOf(name), current(record)]));
}

/** Names of the volumes that the project has on any engine. @throws STORAGE_FAILED */
export async function volumeNames(stateDir: string): Promise<string[]> {
  const names = Object.keys(await read(stateDir)).filter((name) => !name.startsWith(DELETED));
  return [...new Set(names.map(volumeOf))];
}

/**
 * Records a volume as deleted before it is filled: a removal deletes its content unless `replaceVolumes` puts it in use.
 * @throws STORAGE_FAILED
 */
export function recordFilling(stateDir: string, record: VolumeRecord): Promise<void> {
  return writers.run([stateDir], async () => {
    await write(stateDir, { ...(await read(stateDir)), [`${DELETED}${record.key}`]: record });
  });
}

/**
 * Replaces volumes at once: their names refer to the given volumes from now on, or to none. The former ones are
 * recorded as deleted.
 * @throws STORAGE_FAILED; then nothing has changed
 */
export function replaceVolumes(
  stateDir: string,
  runnerHost: string | null,
  volumes: ReadonlyMap<string, VolumeRecord | null>,
): Promise<void> {
  return writers.run([stateDir], async () => {
    const records = await read(stateDir);
    for (const [volume, record] of volumes) {
      const name = nameOf(volume, runnerHost);
      retire(records, name);
      if (record === null) continue;
      delete records[`${DELETED}${record.key}`];
      records[name] = record;
    }
    await write(stateDir, records);
  });
}

function retire(records: Records, name: string): void {
  const record = records[name];
  if (record === undefined) return;
  delete records[name];
  records[`${DELETED}${record.key}`] = record;
}

/**
 * Records volumes as deleted on every engine: from now on their names refer to new, empty ones.
 * @throws STORAGE_FAILED
 */
export function forgetVolumes(stateDir: string, volumes: readonly string[]): Promise<void> {
  return writers.run([stateDir], async () => {
    const records = await read(stateDir);
    const names = Object.keys(records).filter((name) => volumes.includes(volumeOf(name)));
    for (const name of names) retire(records, name);
    if (names.length > 0) await write(stateDir, records);
  });
}

/** Deleted volumes whose content an engine may still have. @throws STORAGE_FAILED */
export async function deletedVolumes(stateDir: string): Promise<VolumeRecord[]> {
  return Object.entries(await read(stateDir)).flatMap(([name, record]) =>
    name.startsWith(DELETED) ? [current(record)] : [],
  );
}

/** Records that the engine of deleted volumes prevented a removal of the project. @throws STORAGE_FAILED */
export function recordRemovalFailed(stateDir: string, volumes: readonly VolumeRecord[]): Promise<void> {
  return writers.run([stateDir], async () => {
    const records = await read(stateDir);
    for (const { key } of volumes) {
      const record = records[`${DELETED}${key}`];
      if (record !== undefined) record.removalFailed = true;
    }
    await write(stateDir, records);
  });
}

/** Called when the content of deleted volumes is gone. @throws STORAGE_FAILED */
export function forgetDeleted(stateDir: string, gone: readonly VolumeRecord[]): Promise<void> {
  return writers.run([stateDir], async () => {
    const records = await read(stateDir);
    for (const { key } of gone) delete records[`${DELETED}${key}`];
    if (gone.length > 0) await write(stateDir, records);
  });
}
