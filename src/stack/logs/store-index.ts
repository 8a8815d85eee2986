/** `store.json`: persistent state of the store that is not in the lines. */
import { mkdir, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import * as z from "zod";
import { atomicWrite } from "../../system/atomic-write.js";
import { isEpoch, newEpoch } from "./cursor.js";

const count = z.int().min(0);

const segment = z.object({
  file: z.string(),
  firstSeq: count,
  lastSeq: count,
  lines: count,
  bytes: count,
  firstTimeMs: count,
  lastTimeMs: count,
  minGeneration: count,
  maxGeneration: count,
});

const service = z.object({
  generation: count,
  losses: z.array(z.object({ firstSeq: count, lastSeq: count, lines: count, timeMs: count })),
  segments: z.array(segment),
});

const index = z.object({
  version: z.literal(1),
  epoch: z.string().refine(isEpoch),
  /** Upper bound of all assigned seqs. Ahead of the last line while the store is open. */
  reservedSeq: count,
  services: z.record(z.string(), service),
});

export type StoreIndex = z.output<typeof index>;

const FILE = "store.json";

/**
 * Reads the index. A missing or damaged index is replaced: its data is derived from the lines, and a new epoch
 * invalidates old cursors.
 */
export async function readIndex(directory: string): Promise<StoreIndex> {
  try {
    return index.parse(JSON.parse(await readFile(join(directory, FILE), "utf8")));
  } catch {
    return { version: 1, epoch: newEpoch(), reservedSeq: 0, services: {} };
  }
}

/** @throws STORAGE_FAILED */
export async function writeIndex(directory: string, value: StoreIndex): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 }).catch(() => undefined);
  await atomicWrite(join(directory, FILE), JSON.stringify(value));
}

/** The directory name of a service. Encoding prevents names that leave the spool or match another file. */
export const directoryOf = (service: string): string => `s-${encodeURIComponent(service)}`;

function nameOf(directory: string): string | undefined {
  try {
    return decodeURIComponent(directory.slice(2));
  } catch {
    return undefined;
  }
}

/**
 * Services with a directory in the spool.
 * @throws the file system's error
 */
export async function spooledServices(directory: string): Promise<string[]> {
  const names = await readdir(directory);
  return names.flatMap((name) => {
    const service = nameOf(name);
    return service === undefined || directoryOf(service) !== name ? [] : [service];
  });
}
