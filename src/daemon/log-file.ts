/** The background server's log: a file that is begun anew at a size, with some older ones kept. */
import { closeSync, fchmodSync, fstatSync, openSync, renameSync, writeSync } from "node:fs";

export interface LogFileOptions {
  /** Bytes after which a new file is begun. Default 5 MiB. */
  maxBytes?: number;
  /** Older files kept: `server.log.1` is the newest of them. Default 3. */
  keep?: number;
}

export interface LogFile {
  /** Written before it returns, so that a sudden end loses nothing. Never throws: a full disk must not end the server. */
  write(line: string): void;
  close(): void;
}

/** @throws when the file cannot be opened */
export function openLogFile(path: string, { maxBytes = 5 * 1_048_576, keep = 3 }: LogFileOptions = {}): LogFile {
  const open = (): number => {
    const descriptor = openSync(path, "a", 0o600);
    // The mode given counts for new files only.
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
        // There was none of this number.
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
        // Nowhere to say it.
      }
    },
    close: () => closeSync(descriptor),
  };
}
