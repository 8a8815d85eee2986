/** Reads the log of the background server: its last lines, then new ones as they are written. */
import { open, stat } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";

export interface ReadLogOptions {
  /** Number of last lines to start with. */
  tail: number;
  /** Keep reading until `signal` aborts. */
  follow: boolean;
  signal: AbortSignal;
  /** Polling interval in milliseconds. Default 200. */
  pollMs?: number;
}

/** Bytes at the end of the file that are searched for the last lines. */
const TAIL_BYTES = 1_048_576;

/** A missing log has no lines. */
export async function* readLog(
  path: string,
  { tail, follow, signal, pollMs = 200 }: ReadLogOptions,
): AsyncGenerator<string> {
  let { inode, offset, lines, rest } = await lastLines(path, tail);
  yield* lines;
  if (!follow && rest !== "") yield rest;
  while (follow && !signal.aborted) {
    await sleep(pollMs, undefined, { signal }).catch(() => undefined);
    const now = await stat(path).catch(() => null);
    if (now === null) continue;
    if (now.ino !== inode || now.size < offset) {
      // The file was rotated; the old one can have lines that were not read.
      const old = await stat(`${path}.1`).catch(() => null);
      if (old !== null && old.ino === inode && old.size > offset) {
        lines = (rest + (await read(`${path}.1`, offset, old.size))).split("\n");
        rest = lines.pop() ?? "";
        yield* lines;
      }
      ({ inode, offset, rest } = { inode: now.ino, offset: 0, rest: "" });
    }
    if (now.size === offset) continue;
    const text = rest + (await read(path, offset, now.size));
    offset = now.size;
    lines = text.split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
}

async function lastLines(path: string, tail: number) {
  const now = await stat(path).catch(() => null);
  if (now === null) return { inode: 0, offset: 0, lines: [] as string[], rest: "" };
  const from = Math.max(0, now.size - TAIL_BYTES);
  const lines = (await read(path, from, now.size)).split("\n");
  if (from > 0) lines.shift();
  const rest = lines.pop() ?? "";
  return { inode: now.ino, offset: now.size, lines: tail === 0 ? [] : lines.slice(-tail), rest };
}

async function read(path: string, from: number, to: number): Promise<string> {
  const file = await open(path, "r");
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(to - from), 0, to - from, from);
    return buffer.toString("utf8", 0, bytesRead);
  } finally {
    await file.close();
  }
}
