/** An engine is a folder with what outlives a session: cache volumes, containers and fault switches. */
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** @typedef {ReturnType<typeof openEngine>} Engine */

/** @param {string} folder */
export function openEngine(folder) {
  const part = (/** @type {string[]} */ ...names) => {
    const path = join(folder, ...names);
    mkdirSync(path, { recursive: true });
    return path;
  };
  const switches = join(folder, "faults.json");
  let known = { version: "", faults: {} };
  /** The current switches, which a test may change during a session by a new file in place of the old one. */
  const faults = () => {
    const file = statSync(switches, { throwIfNoEntry: false });
    if (file === undefined) return {};
    const version = `${file.ino} ${file.mtimeMs}`;
    if (known.version !== version) known = { version, faults: JSON.parse(readFileSync(switches, "utf8")) };
    return known.faults;
  };
  return {
    folder,
    part,
    faults,
    /** Counts calls under this name in all processes of the engine: true for the first `times`. */
    take: (/** @type {string} */ name, times = Number.POSITIVE_INFINITY) => {
      if (!(times > 0)) return false;
      const file = join(part("counts"), encodeURIComponent(name));
      const count = existsSync(file) ? Number(readFileSync(file, "utf8")) : 0;
      writeFileSync(file, String(count + 1));
      return count < times;
    },
  };
}

/** Folder of the engine at a runner host `unix:///…/buildkitd.sock`. */
export const folderOf = (/** @type {string} */ runnerHost) =>
  runnerHost.startsWith("unix://") ? join(runnerHost.slice("unix://".length), "..") : null;
