/** Files that are there whole or not at all. */
import { randomBytes } from "node:crypto";
import { open, rename, rm } from "node:fs/promises";
import { StackwardenError } from "./errors.js";

export const storageFailed = (what: string, cause: unknown): StackwardenError =>
  new StackwardenError("STORAGE_FAILED", `${what}: ${(cause as NodeJS.ErrnoException).code ?? "unknown fault"}.`, {
    hint: "Free space or correct the permissions of the state directory (STACKWARDEN_STATE_DIR), then call again.",
    cause,
  });

/**
 * Replaces a file in one step.
 * @throws STORAGE_FAILED; the old file then is as it was
 */
export async function writeWhole(file: string, text: string, mode = 0o600): Promise<void> {
  const temporary = `${file}.${process.pid}.${randomBytes(4).toString("hex")}`;
  try {
    const handle = await open(temporary, "wx", mode);
    try {
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw storageFailed(`${file} cannot be written`, error);
  }
}
