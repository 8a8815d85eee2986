/** Maps failed file operations to errors of the catalogue. */
import { StackwardenError } from "../../../errors.js";

const FULL = new Set(["ENOSPC", "EDQUOT", "EFBIG"]);
const DENIED = new Set(["EROFS", "EACCES", "EPERM"]);

export const codeOf = (error: unknown): string => String((error as NodeJS.ErrnoException | null)?.code ?? "");

/** Maps a failed file operation to STORAGE_FAILED; returns every other error unchanged. */
export function storageFailure(error: unknown, doing: string): unknown {
  if (error instanceof StackwardenError || !(error instanceof Error)) return error;
  const code = codeOf(error);
  if (!/^E[A-Z]+$/.test(code)) return error;
  const hint = FULL.has(code)
    ? "The disk (or quota) of the state directory is full: free some space, then call again."
    : DENIED.has(code)
      ? "Make the state directory writable for the server, or choose another one with STACKWARDEN_STATE_DIR."
      : "Check the state directory's disk, then call again.";
  return new StackwardenError("STORAGE_FAILED", `${doing} failed (${code}).`, { hint, cause: error });
}

/** Runs a step and maps its file errors to STORAGE_FAILED. */
export async function withStorage<T>(doing: string, step: () => Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (error) {
    throw storageFailure(error, doing);
  }
}
