/**
 * Records the instances that mount named volumes and whose exit was not observed. When a session, the server or the
 * engine dies, the engine keeps containers for some seconds. A second database on the same volume would then run
 * recovery while the first one is still running, so the next start ends the previous instance first.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { atomicWrite, storageError } from "../../../system/atomic-write.js";
import { KeyedMutex } from "../../../system/keyed-mutex.js";
import type { EngineHost } from "../engine-host/types.js";

interface VolumeUser {
  volumes: string[];
  /** The engine; null: the CLI's own choice. */
  runnerHost: string | null;
}

type Records = Record<string, VolumeUser>;

/** An engine keeps the containers of a dead session for 6 to 9 s (measured with 0.21.8). */
const KEPT_MS = 10_000;

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
    const matches = instances.filter((instance) => instance in records);
    for (const instance of matches) delete records[instance];
    return matches.length > 0;
  });

export interface FormerUsers extends VolumeUser {
  stateDir: string;
  /** Instances of open stacks. */
  running: ReadonlySet<string>;
}

export interface EndFormerUsers extends FormerUsers {
  /** When the session that asks was opened, in epoch milliseconds: the former one had ended by then. */
  openedAt: number;
  host: Pick<EngineHost, "enforcement" | "end">;
  signal: AbortSignal;
  /** Called when there is an instance to end. */
  waiting?(): void;
}

/**
 * Ends instances of earlier sessions that can still write to the volumes.
 * @throws STOP_FAILED, STORAGE_FAILED, the signal's reason
 */
export async function endFormerUsers(options: EndFormerUsers): Promise<void> {
  const { stateDir, running, openedAt, host, signal } = options;
  const former = await formerVolumeUsers(stateDir, options, running);
  if (former.length === 0) return;
  options.waiting?.();
  if (host.enforcement.level === "enforced") await host.end(former, signal);
  else await delay(Math.max(0, openedAt + KEPT_MS - Date.now()), undefined, { signal });
  await forgetVolumeUsers(stateDir, former);
}

export const hasFormerUsers = async ({ stateDir, running, ...user }: FormerUsers): Promise<boolean> =>
  (await formerVolumeUsers(stateDir, user, running)).length > 0;

/** The recorded instances that mount one of these volumes on this engine. @throws STORAGE_FAILED */
async function formerVolumeUsers(
  stateDir: string,
  { volumes, runnerHost }: VolumeUser,
  running: ReadonlySet<string>,
): Promise<string[]> {
  return Object.entries(await read(stateDir))
    .filter(([instance, user]) => !running.has(instance) && user.runnerHost === runnerHost)
    .filter(([, user]) => user.volumes.some((volume) => volumes.includes(volume)))
    .map(([instance]) => instance);
}
