/**
 * Records the engines on which a project has volumes, so that they can be deleted there after the setting has changed.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { atomicWrite, storageError } from "../../../system/atomic-write.js";
import { KeyedMutex } from "../../../system/keyed-mutex.js";

export interface EngineRecord {
  /** The engine's address. */
  host: string;
  /** Names of volumes that were deleted while the engine did not answer: they are deleted there before its next use. */
  deleted?: string[];
  /** True when the engine already prevented a removal of the project. */
  removalFailed?: true;
}

const FILE = "docker-engines.json";
const serial = new KeyedMutex();

/** An engine of which only the address is known is stored as that: earlier versions read nothing else. */
const plain = (record: EngineRecord): EngineRecord | string =>
  Object.keys(record).length === 1 ? record.host : record;

function readRecord(stored: unknown): EngineRecord[] {
  if (typeof stored === "string") return [{ host: stored }];
  return typeof (stored as EngineRecord | null)?.host === "string" ? [stored as EngineRecord] : [];
}

/** @throws STORAGE_FAILED for a file that is damaged or cannot be read */
export async function rememberedEngines(stateDir: string): Promise<EngineRecord[]> {
  const path = join(stateDir, FILE);
  try {
    const records: unknown = JSON.parse(await readFile(path, "utf8"));
    if (Array.isArray(records)) return records.flatMap(readRecord);
    throw new SyntaxError("not a list");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw storageError(`${path} cannot be read`, error);
  }
}

const change = (stateDir: string, task: (records: EngineRecord[]) => EngineRecord[] | null): Promise<void> =>
  serial.run([stateDir], async () => {
    const records = task(await rememberedEngines(stateDir));
    if (records !== null) await atomicWrite(join(stateDir, FILE), `${JSON.stringify(records.map(plain))}\n`);
  });

/** Adds an engine that responds. Of a recorded engine only the address remains in the record. */
export const rememberEngine = (stateDir: string, host: string): Promise<void> =>
  change(stateDir, (records) => {
    const present = records.find((record) => record.host === host);
    if (present === undefined) return [...records, { host }];
    return plain(present) === host ? null : records.map((record) => (record === present ? { host } : record));
  });

export const forgetEngine = (stateDir: string, host: string): Promise<void> =>
  change(stateDir, (records) => records.filter((record) => record.host !== host));

export const changeEngine = (stateDir: string, changed: EngineRecord): Promise<void> =>
  change(stateDir, (records) => records.map((record) => (record.host === changed.host ? changed : record)));
