/** The logic of the watchdog process. */
import { existsSync, readdirSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { endEntry, type RunEntry, usersInUse } from "./run-file.js";

/** Messages, one line of JSON each. `done`: the server has ended everything itself. */
export type WatchdogMessage = { add: RunEntry } | { remove: number } | { done: true };

/** Removes the run file, and the temporary file that a server left when it died while writing. */
export function removeRunFile(file: string): void {
  const folder = dirname(file);
  if (!existsSync(folder)) return;
  for (const name of readdirSync(folder))
    if (name === basename(file) || name.startsWith(`${basename(file)}.`)) rmSync(join(folder, name), { force: true });
}

/** Null for a line that was cut off by the end of the server. */
function parse(line: string): WatchdogMessage | null {
  try {
    return JSON.parse(line) as WatchdogMessage;
  } catch {
    return null;
  }
}

/**
 * Reads until the input closes, which means that the server has ended; then ends every entry that was not removed.
 * @param file the run file; it is kept for the next server when a process could not be ended
 */
export async function watch(input: Readable, file: string | undefined): Promise<void> {
  const entries = new Map<number, RunEntry>();
  for await (const line of createInterface({ input })) {
    const message = parse(line);
    if (message === null) continue;
    if ("add" in message) entries.set(message.add.pid, message.add);
    else if ("remove" in message) entries.delete(message.remove);
    else return;
  }
  const inUse = file === undefined ? new Set<number>() : usersInUse(file);
  const ends = await Promise.allSettled([...entries.values()].map((entry) => endEntry(entry, true, inUse)));
  if (file !== undefined && ends.every(({ status }) => status === "fulfilled")) removeRunFile(file);
}
