/** An engine is a folder: what outlives a session (cache volumes, containers, fault switches) lies in it. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** @typedef {ReturnType<typeof openEngine>} Engine */

/** @param {string} folder */
export function openEngine(folder) {
  const part = (/** @type {string[]} */ ...names) => {
    const path = join(folder, ...names);
    mkdirSync(path, { recursive: true });
    return path;
  };
  /** The switches as they are now: a test may change them while a session runs. */
  const faults = () => {
    try {
      return JSON.parse(readFileSync(join(folder, "faults.json"), "utf8"));
    } catch {
      return {};
    }
  };
  return {
    folder,
    part,
    faults,
    /** Counts over all processes of the engine: true for the first `times` calls under this name. */
    take: (/** @type {string} */ name, times = Number.POSITIVE_INFINITY) => {
      if (!(times > 0)) return false;
      const file = join(part("counts"), encodeURIComponent(name));
      const count = existsSync(file) ? Number(readFileSync(file, "utf8")) : 0;
      writeFileSync(file, String(count + 1));
      return count < times;
    },
  };
}

/** Engine folder behind a runner host `unix:///…/buildkitd.sock`. */
export const folderOf = (/** @type {string} */ runnerHost) =>
  runnerHost.startsWith("unix://") ? join(runnerHost.slice("unix://".length), "..") : null;
