/**
 * Records which volume holds the installed dependencies of each service. An installation is recorded when it is
 * complete, so that a volume of an interrupted one is never used.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import * as z from "zod";
import { atomicWrite } from "../../../system/atomic-write.js";
import { KeyedMutex } from "../../../system/keyed-mutex.js";

const FILE = "docker-dependencies.json";
const serial = new KeyedMutex();

const entry = z.object({
  volume: z.string(),
  /** Creation time from the engine: another engine, or another volume of the same name, has a different one. */
  created: z.string(),
});
const records = z.record(z.string(), entry);
export type DependencyRecord = z.infer<typeof entry>;

/** A file that is missing or damaged only means that dependencies are installed again. */
async function all(stateDir: string): Promise<Record<string, DependencyRecord>> {
  try {
    return records.parse(JSON.parse(await readFile(join(stateDir, FILE), "utf8")));
  } catch {
    return {};
  }
}

export const recordedDependencies = async (stateDir: string, service: string): Promise<DependencyRecord | null> => {
  const records = await all(stateDir);
  return Object.hasOwn(records, service) ? (records[service] ?? null) : null;
};

/** @throws STORAGE_FAILED */
export const recordDependencies = (stateDir: string, service: string, record: DependencyRecord): Promise<void> =>
  serial.run([stateDir], async () => {
    const next = { ...(await all(stateDir)), [service]: record };
    await atomicWrite(join(stateDir, FILE), `${JSON.stringify(next)}\n`);
  });
