/**
 * The state directory without the rest of the configuration: a client that only connects to the background server reads no
 * schema and, mostly, no file. The answer is that of `loadConfig`.
 */
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { defaultStateDir, userConfigFile } from "./default-paths.js";
import type { ConfigFlags } from "./settings.js";

export interface StateDirRequest {
  flags: Pick<ConfigFlags, "stateDir" | "config">;
  env: NodeJS.ProcessEnv;
  /** Absolute. */
  cwd: string;
}

/** @returns null when only `loadConfig` can tell */
export async function knownStateDir({ flags, env, cwd }: StateDirRequest): Promise<string | null> {
  const configured = flags.stateDir ?? (env.STACKWARDEN_STATE_DIR || undefined);
  if (configured !== undefined && configured !== "") return resolve(cwd, configured);
  // A file of the working directory may not name it; the other two may.
  const named = flags.config ?? (env.STACKWARDEN_CONFIG || undefined);
  const file = named === undefined ? userConfigFile({ env }) : resolve(cwd, named);
  const text = file === null ? "" : await readFile(file, "utf8").catch(() => "");
  return !text.includes("state_dir") && (named === undefined || text !== "") ? defaultStateDir({ env }) : null;
}

/** @throws StackwardenError as `loadConfig` does, where a file has to be read */
export async function stateDirOf(request: StateDirRequest): Promise<string> {
  const known = await knownStateDir(request);
  if (known !== null) return known;
  const { loadConfig } = await import("./load.js");
  return (await loadConfig(request)).stateDir;
}
