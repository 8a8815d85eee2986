/**
 * A lock file that names the process that holds it. The lock of an ended process is taken over, so that nothing has to
 * be repaired after a SIGKILL.
 */
import { createHash, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { link, readFile, rm, stat, writeFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { isAlive, startTime } from "./process-identity.js";

export interface LockFile {
  /** Whether the file still names this very process. */
  held(): Promise<boolean>;
  release(): Promise<void>;
}

export type LockOutcome = { lock: LockFile } | { lock: null; pid: number };

const TRIES = 200;

/** The living process that a lock's text names, or null. */
function livingHolder(text: string): number | null {
  try {
    const { pid, started } = JSON.parse(text) as { pid?: unknown; started?: unknown };
    if (typeof pid !== "number" || !Number.isSafeInteger(pid) || pid <= 0) return null;
    return isAlive(pid, typeof started === "string" ? started : null) ? pid : null;
  } catch {
    // A damaged file names no process, so no process holds it.
    return null;
  }
}

/** The id of the running process that holds the lock, or null. */
export function lockHolder(file: string): number | null {
  try {
    return livingHolder(readFileSync(file, "utf8"));
  } catch {
    return null;
  }
}

/**
 * Takes the lock, or returns the process that holds it.
 * @throws the file system's error when the lock cannot be made
 */
export async function takeLock(file: string): Promise<LockOutcome> {
  const mine = `${file}.${process.pid}.${randomBytes(4).toString("hex")}`;
  const text = JSON.stringify({
    pid: process.pid,
    started: startTime(process.pid),
    id: randomBytes(8).toString("hex"),
  });
  try {
    await writeFile(mine, text, { mode: 0o600, flag: "wx" });
    for (let attempt = 0; ; attempt += 1) {
      try {
        // Creating a link is atomic, so that no process reads an incomplete lock.
        await link(mine, file);
        break;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "EEXIST" || attempt >= TRIES) throw error;
        const content = await readFile(file, "utf8").catch(() => null);
        if (content === null) continue;
        const pid = livingHolder(content);
        if (pid !== null) return { lock: null, pid };
        await setAside(file, content);
      }
    }
  } finally {
    await rm(mine, { force: true }).catch(() => undefined);
  }
  const held = async (): Promise<boolean> => (await readFile(file, "utf8").catch(() => null)) === text;
  return {
    lock: {
      held,
      release: async () => {
        if (await held()) await rm(file, { force: true }).catch(() => undefined);
      },
    },
  };
}

/** Milliseconds that other processes wait for a process that died while it removed a lock. */
const REMOVAL_MS = 2000;

/**
 * Removes the lock of a dead process, but never a newer one that a living process put in its place: only the process
 * that creates the marker for this content may remove the lock, and the marker is a link to the file at that moment.
 */
async function setAside(file: string, content: string): Promise<void> {
  const marker = `${file}.${createHash("sha256").update(content).digest("hex").slice(0, 16)}.dead`;
  try {
    await link(file, marker);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") return;
    const age = await stat(marker).then(
      ({ ctimeMs }) => Date.now() - ctimeMs,
      () => 0,
    );
    if (age > REMOVAL_MS) await rm(marker, { force: true });
    else await sleep(20);
    return;
  }
  if ((await readFile(marker, "utf8").catch(() => null)) === content) await rm(file, { force: true });
  await rm(marker, { force: true });
}
