/** Files of an engine on its host: its log, its store and its containers' bundles, as root sees them. */
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, readlinkSync, realpathSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export interface EngineTraces {
  /** Folders with a bundle each. */
  bundles: string;
  /** The engine's store. */
  store: string;
  /** Null if the log cannot be read. */
  log: string | null;
}

const cmdline = (pid: string): string[] => {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
  } catch {
    return [];
  }
};

/** Traces of the engine at `unix://…`. Null if they cannot be read here. */
export function engineTraces(runnerHost: string): EngineTraces | null {
  if (!runnerHost.startsWith("unix://") || process.getuid?.() !== 0) return null;
  const found = readdirSync("/proc").find((pid) => {
    const words = cmdline(pid);
    return /dagger-engine$/.test(words[0] ?? "") && words.includes(runnerHost);
  });
  if (found === undefined) return null;
  const words = cmdline(found);
  const root = words[words.indexOf("--root") + 1];
  if (!words.includes("--root") || root === undefined) return null;
  const store = join(`/proc/${found}/root`, root);
  if (!existsSync(store)) return null;
  const log = realpathSync(`/proc/${found}/fd/2`);
  return {
    store,
    bundles: join(store, "worker", "executor"),
    log: readlinkSync(`/proc/${found}/fd/2`).startsWith("/") && statSync(log).isFile() ? log : null,
  };
}

export interface Bundle {
  args: string[];
  env: string[];
}

/** Reads the bundles repeatedly: those of builds and installations exist for seconds only. */
export function watchBundles(folder: string): { seen: Map<string, Bundle>; stop(): void } {
  const seen = new Map<string, Bundle>();
  const look = (): void => {
    for (const id of existsSync(folder) ? readdirSync(folder) : []) {
      if (seen.has(id)) continue;
      try {
        const { process } = JSON.parse(readFileSync(join(folder, id, "config.json"), "utf8")) as { process: Bundle };
        seen.set(id, { args: process.args, env: process.env });
      } catch {
        // The file is not yet written, or already removed.
      }
    }
  };
  const timer = setInterval(look, 20);
  return {
    seen,
    stop: () => {
      look();
      clearInterval(timer);
    },
  };
}

/**
 * Files below the folder that were written since the given time and contain one of the texts. `scratch` is a folder for
 * the list of texts.
 */
export function filesWith(folder: string, since: Date, texts: readonly string[], scratch: string): string[] {
  const list = join(scratch, "texts");
  writeFileSync(list, `${texts.join("\n")}\n`, { mode: 0o600 });
  const script =
    'find "$1" -type f -newermt "$2" -print0 2>/dev/null | xargs -0 -r grep -laF -f "$3" -- 2>/dev/null; :';
  return execFileSync("sh", ["-c", script, "sh", folder, since.toISOString(), list], { encoding: "utf8" })
    .split("\n")
    .filter((line) => line !== "");
}
