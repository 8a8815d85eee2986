/** The log of the background server: a file that is rotated by size. */
import { closeSync, fchmodSync, fstatSync, openSync, renameSync, writeSync } from "node:fs";

export interface LogFileOptions {
  /** Bytes after which the file is rotated. Default 5 MiB. */
  maxBytes?: number;
  /** Number of rotated files to keep; `server.log.1` is the newest. Default 3. */
  keep?: number;
}

export interface LogFile {
  /** Writes synchronously, so that a crash loses nothing. Never throws: a full disk must not end the server. */
  write(line: string): void;
  close(): void;
}

/** @throws when the file cannot be opened */
export function openLogFile(path: string, { maxBytes = 5 * 1_048_576, keep = 3 }: LogFileOptions = {}): LogFile {
  const open = (): number => {
    const descriptor = openSync(path, "a", 0o600);
    // The mode of open() applies to new files only.
    if (process.platform !== "win32") fchmodSync(descriptor, 0o600);
    return descriptor;
  };
  let descriptor = open();
  let size = fstatSync(descriptor).size;
  const rotate = (): void => {
    for (let number = keep; number >= 1; number -= 1) {
      try {
        renameSync(number === 1 ? path : `${path}.${number - 1}`, `${path}.${number}`);
      } catch {
        // No file has this number.
      }
    }
    const next = open();
    closeSync(descriptor);
    descriptor = next;
    size = 0;
  };
  return {
    write: (line) => {
      try {
        if (size > 0 && size + line.length > maxBytes) rotate();
        size += writeSync(descriptor, line);
      } catch {
        // The log is where this error would be reported.
      }
    },
    close: () => closeSync(descriptor),
  };
}
