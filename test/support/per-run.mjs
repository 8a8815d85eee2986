/**
 * Folders that several test files need and that take long to create: the first file creates one, and it is removed
 * after the run of the suite.
 */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const VARIABLE = "VITEST_RUN_FOLDER";
const PATIENCE_MS = 120_000;

/**
 * A folder of this name that has been filled; null outside of a run of the suite, and when it could not be filled.
 * @param {string} name
 * @param {(folder: string) => Promise<void>} fill
 * @returns {Promise<string | null>}
 */
export async function perRun(name, fill) {
  const run = process.env[VARIABLE];
  if (run === undefined) return null;
  const folder = join(run, name);
  const [filled, failed] = [`${folder}.filled`, `${folder}.failed`];
  try {
    mkdirSync(folder);
  } catch {
    for (const end = Date.now() + PATIENCE_MS; Date.now() < end && !existsSync(failed); await sleep(100))
      if (existsSync(filled)) return folder;
    return null;
  }
  try {
    await fill(folder);
    writeFileSync(filled, "");
    return folder;
  } catch (error) {
    writeFileSync(failed, "");
    throw error;
  }
}

/** Removes folders of killed runs. */
function sweep() {
  for (const name of readdirSync(tmpdir())) {
    const pid = Number(/^stackwarden-run-(\d+)-/.exec(name)?.[1]);
    if (!(pid > 0)) continue;
    try {
      process.kill(pid, 0);
    } catch (error) {
      if (/** @type {NodeJS.ErrnoException} */ (error).code === "ESRCH")
        rmSync(join(tmpdir(), name), { recursive: true, force: true });
    }
  }
}

/** Vitest's global set-up, which also runs once for each of the configuration's projects. */
export default function setup() {
  if (process.env[VARIABLE] !== undefined) return undefined;
  sweep();
  const folder = mkdtempSync(join(tmpdir(), `stackwarden-run-${process.pid}-`));
  process.env[VARIABLE] = folder;
  return () => rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
}
