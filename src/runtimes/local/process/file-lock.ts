/** A lock between servers that share a state directory, for moments. */
import { randomBytes } from "node:crypto";
import { link, readFile, rm, writeFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { StackwardenError } from "../../../errors.js";
import { isAlive, startTime } from "../../../system/process-identity.js";

interface Owner {
  pid: number;
  started: string | null;
}

const lives = async (file: string): Promise<boolean> => {
  try {
    const { pid, started } = JSON.parse(await readFile(file, "utf8")) as Owner;
    return isAlive(pid, started);
  } catch (error) {
    // What is damaged belongs to nobody.
    return !["ENOENT", undefined].includes((error as NodeJS.ErrnoException).code);
  }
};

/**
 * Runs the task while no other process holds `file`. A lock whose owner is dead is taken over.
 * @param deadlineMs how long another owner is waited for; default 5 s
 * @throws STORAGE_FAILED when it is held longer, or cannot be made
 */
export async function withFileLock<T>(file: string, task: () => Promise<T>, deadlineMs = 5000): Promise<T> {
  const own = `${file}.${process.pid}.${randomBytes(4).toString("hex")}`;
  const owner: Owner = { pid: process.pid, started: startTime(process.pid) };
  const end = Date.now() + deadlineMs;
  try {
    await writeFile(own, JSON.stringify(owner), { mode: 0o600 });
    // A link appears with its content, unlike a file that is opened and then written.
    for (;;) {
      try {
        await link(own, file);
        break;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "EEXIST" || Date.now() > end) throw error;
      }
      if (await lives(file)) await sleep(20);
      else await rm(file, { force: true });
    }
  } catch (cause) {
    throw new StackwardenError(
      "STORAGE_FAILED",
      `${file} cannot be locked: ${(cause as NodeJS.ErrnoException).code ?? "unknown fault"}.`,
      { hint: "Check the state directory's permissions, and whether another stackwarden server hangs.", cause },
    );
  } finally {
    await rm(own, { force: true }).catch(() => undefined);
  }
  try {
    return await task();
  } finally {
    await rm(file, { force: true }).catch(() => undefined);
  }
}
