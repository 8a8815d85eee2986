/**
 * Records the engines on which a project has volumes, so that they can be deleted there after the setting has changed.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { atomicWrite, storageError } from "../../../system/atomic-write.js";
import { KeyedMutex } from "../../../system/keyed-mutex.js";

const FILE = "docker-engines.json";
const serial = new KeyedMutex();

/** @throws STORAGE_FAILED for a file that is damaged or cannot be read */
export async function rememberedEngines(stateDir: string): Promise<string[]> {
  const path = join(stateDir, FILE);
  try {
    const hosts: unknown = JSON.parse(await readFile(path, "utf8"));
    if (Array.isArray(hosts)) return hosts.filter((host): host is string => typeof host === "string");
    throw new SyntaxError("not a list");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw storageError(`${path} cannot be read`, error);
  }
}

export const rememberEngine = (stateDir: string, host: string): Promise<void> =>
  serial.run([stateDir], async () => {
    const hosts = await rememberedEngines(stateDir);
    if (!hosts.includes(host)) await atomicWrite(join(stateDir, FILE), `${JSON.stringify([...hosts, host])}\n`);
  });
