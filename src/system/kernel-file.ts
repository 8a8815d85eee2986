/**
 * Reads files that the kernel generates (/proc, cgroups). They have no size, for which `readFile` allocates 64 KB each
 * time and passes through the thread pool four times: reading one file of every process would take longer than the
 * start of a service.
 */
import { closeSync, openSync, readSync } from "node:fs";

/** Bytes of a few lines, and fewer than the kernel generates at once: a read that returns less is the last one. */
const FEW_LINES = 512;
let buffer = Buffer.allocUnsafe(64 * 1024);

/**
 * Null when the file does not exist or cannot be read.
 * @param upTo ends the reading when it returns true for a line; the lines after it may be missing
 */
export function readKernelFile(path: string, upTo?: (line: string) => boolean): string | null {
  let fd: number;
  try {
    fd = openSync(path, "r");
  } catch {
    return null;
  }
  try {
    let length = 0;
    let testedTo = 0;
    for (;;) {
      // The kernel generates no more lines than fit.
      const most = upTo === undefined ? buffer.length - length : Math.min(FEW_LINES, buffer.length - length);
      const read = readSync(fd, buffer, length, most, null);
      if (read === 0) return buffer.toString("utf8", 0, length);
      length += read;
      if (upTo !== undefined) {
        const end = buffer.lastIndexOf("\n", length - 1) + 1;
        if (end > testedTo && buffer.toString("utf8", testedTo, end).split("\n").some(upTo))
          return buffer.toString("utf8", 0, end);
        testedTo = Math.max(testedTo, end);
        // Another read would return nothing, after the kernel has walked the table again.
        if (read < most) return buffer.toString("utf8", 0, length);
      }
      if (length === buffer.length) buffer = Buffer.concat([buffer, Buffer.allocUnsafe(buffer.length)]);
    }
  } catch {
    // The process has ended meanwhile.
    return null;
  } finally {
    closeSync(fd);
  }
}

/** Decodes a path of /proc/<pid>/mountinfo, which writes spaces as \040. */
export const unescapeMountPath = (text: string): string =>
  text.replace(/\\([0-7]{3})/g, (_match, code: string) => String.fromCharCode(Number.parseInt(code, 8)));
