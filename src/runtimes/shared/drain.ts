/** Reads the remaining output in the pipes of an ended process. */
import type { Readable } from "node:stream";
import { finished } from "node:stream/promises";
import { setTimeout as sleep } from "node:timers/promises";

/** Maximum wait in milliseconds: a process that left the process group may hold a pipe open. */
const MOST_MS = 500;
const TURNS = 10;

/**
 * Waits until the streams have ended, at most half a second, then closes them. The wait is split into several event
 * loop turns: after a long blocking turn, the loop reads available data before the time is up.
 */
export async function drain(...streams: Readable[]): Promise<void> {
  let drained = false;
  const end = Promise.allSettled(streams.map((stream) => finished(stream))).then(() => {
    drained = true;
  });
  for (let turn = 0; turn < TURNS && !drained; turn += 1)
    await Promise.race([end, sleep(MOST_MS / TURNS, undefined, { ref: false })]);
  for (const stream of streams) stream.destroy();
}
