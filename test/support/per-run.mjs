/**
 * What all test files share. Folders that several of them need and that take long to create: the first file creates
 * one, and it is removed after the run of the suite. The environment: without certificates that few programs need.
 */
import { execFileSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { freemem, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const VARIABLE = "VITEST_RUN_FOLDER";
const CERTIFICATES = "NODE_EXTRA_CA_CERTS";
const SET_ASIDE = "VITEST_CA_CERTS";
const PATIENCE_MS = 120_000;
/** Temporary files are kept in memory where this many bytes of it are free: several times what a run needs. */
const ENOUGH_MEMORY = 12 * 1024 ** 3;

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

/**
 * Keeps temporary files in memory: a run creates and deletes some hundred thousand files, most of them for PostgreSQL,
 * and the file system of a disk needs several times as much processor time for them.
 * @param {string} folder
 */
function mountMemory(folder) {
  if (process.platform !== "linux" || process.getuid?.() !== 0) return;
  if (Math.min(freemem(), process.constrainedMemory() || Number.POSITIVE_INFINITY) < ENOUGH_MEMORY) return;
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", "mode=1777", "tmpfs", folder], { stdio: "ignore" });
  } catch {
    // A container without the right to mount: temporary files stay on the disk.
    return;
  }
  process.env.TMPDIR = folder;
}

/** @param {string} folder */
function remove(folder) {
  if (process.platform === "linux" && process.getuid?.() === 0)
    try {
      execFileSync("umount", ["--lazy", folder], { stdio: "ignore" });
    } catch {
      // It is not a mount.
    }
  rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
}

/** Process ids are valid in one namespace: a run in another one (`unshare --pid`) cannot tell which runs have ended. */
const PID_NAMESPACE = process.platform === "linux" ? readlinkSync("/proc/self/ns/pid") : "";
const NAMESPACE_FILE = ".pid-namespace";

/** @param {string} folder */
function isOfThisNamespace(folder) {
  try {
    return readFileSync(join(folder, NAMESPACE_FILE), "utf8") === PID_NAMESPACE;
  } catch {
    return false;
  }
}

/**
 * Removes folders of killed runs.
 * @param {string} temporary
 */
function sweep(temporary) {
  for (const name of readdirSync(temporary)) {
    const pid = Number(/^sw-run-(\d+)-/.exec(name)?.[1]);
    if (!(pid > 0) || !isOfThisNamespace(join(temporary, name))) continue;
    try {
      process.kill(pid, 0);
    } catch (error) {
      if (/** @type {NodeJS.ErrnoException} */ (error).code === "ESRCH") remove(join(temporary, name));
    }
  }
}

/** Removes additional certificates from the environment: Node.js decodes them at each start, in 60 ms of processor time. */
function setCertificatesAside() {
  const { [CERTIFICATES]: file } = process.env;
  if (file === undefined) return;
  process.env[SET_ASIDE] = file;
  delete process.env[CERTIFICATES];
}

/** Environment of Node.js programs that use a package registry. */
export const registryEnvironment = () => {
  const { [SET_ASIDE]: file } = process.env;
  return file === undefined ? {} : { [CERTIFICATES]: file };
};

/** Vitest's global set-up, which also runs once for each of the configuration's projects. */
export default function setup() {
  if (process.env[VARIABLE] !== undefined) return undefined;
  const temporary = tmpdir();
  sweep(temporary);
  // A short name: the path of a socket below it has at most 107 bytes.
  const folder = mkdtempSync(join(temporary, `sw-run-${process.pid}-`));
  process.env[VARIABLE] = folder;
  mountMemory(folder);
  writeFileSync(join(folder, NAMESPACE_FILE), PID_NAMESPACE);
  setCertificatesAside();
  return () => remove(folder);
}
