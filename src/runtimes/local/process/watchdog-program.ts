/** What the watchdog does, apart from being a process of its own. */
import { existsSync, readdirSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { endEntry, type RunEntry, usersInUse } from "./run-file.js";

/** One line of JSON each. `done`: the server ended everything itself. */
export type WatchdogMessage = { add: RunEntry } | { remove: number } | { done: true };

/** With what a server that died while writing it left beside it. */
export function removeRunFile(file: string): void {
  const folder = dirname(file);
  if (!existsSync(folder)) return;
  for (const name of readdirSync(folder))
    if (name === basename(file) || name.startsWith(`${basename(file)}.`)) rmSync(join(folder, name), { force: true });
}

/** Null for a line that the server's end tore. */
function parse(line: string): WatchdogMessage | null {
  try {
    return JSON.parse(line) as WatchdogMessage;
  } catch {
    return null;
  }
}

/**
 * Listens until the input ends, which is the server's end; then ends every entry that was not removed.
 * @param file the run file; stays when something could not be ended, for the next server to try
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
