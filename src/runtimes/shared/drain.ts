/** What an ended process still has in its pipes. */
import type { Readable } from "node:stream";
import { finished } from "node:stream/promises";
import { setTimeout as sleep } from "node:timers/promises";

/** A process that left its group may hold a pipe open: that is not waited for longer than this. */
const MOST_MS = 500;
const TURNS = 10;

/**
 * Waits until the streams have ended, at most half a second, then closes them. In several turns: a busy event loop that
 * comes back late reads what is there before its time is up.
 */
export async function drain(...streams: Readable[]): Promise<void> {
  let ended = false;
  const end = Promise.allSettled(streams.map((stream) => finished(stream))).then(() => {
    ended = true;
  });
  for (let turn = 0; turn < TURNS && !ended; turn += 1)
    await Promise.race([end, sleep(MOST_MS / TURNS, undefined, { ref: false })]);
  for (const stream of streams) stream.destroy();
}
