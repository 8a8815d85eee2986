/** Copies the content of a file that a service can change meanwhile. */
import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import type { Path } from "./folder.js";

export const CHUNK = 1_048_576;
export const READ = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY;

export interface CopyContentOptions {
  mode: number;
  /** Reused for each part of the content. */
  buffer: Buffer;
  /** Bytes after which the copy ends, when the file becomes longer. Default: no limit. */
  maxBytes?: number;
  /** Called with the bytes of each part before it is written. An error ends the copy. */
  part(bytes: number): void;
  /** Called with the complete copy. */
  complete?(target: FileHandle): Promise<void>;
}

/** @param to must not exist */
export async function copyContent(from: string, to: Path, options: CopyContentOptions): Promise<void> {
  const { mode, buffer, maxBytes = Number.POSITIVE_INFINITY, part, complete } = options;
  const source = await open(from, READ);
  try {
    const target = await open(to, "wx", mode);
    try {
      for (let left = maxBytes; left > 0; ) {
        const { bytesRead } = await source.read(buffer, 0, Math.min(left, buffer.length), null);
        if (bytesRead === 0) break;
        part(bytesRead);
        // A file handle writes at its current position, so this appends.
        await target.writeFile(buffer.subarray(0, bytesRead));
        left -= bytesRead;
      }
      await complete?.(target);
    } finally {
      await target.close();
    }
  } finally {
    await source.close();
  }
}
