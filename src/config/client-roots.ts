/** Folders that an MCP client offers (`roots/list`) instead of the working directory, where the operator names no root. */
import { realpathSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { excludeProgramsBelow } from "../system/find-program.js";
import { isNoDefaultRoot } from "./default-roots.js";
import type { Config } from "./types.js";
import { isWithin } from "./working-directory.js";

/**
 * They narrow the working directory, and take its place where it is none of the default roots. Roots that the operator
 * named stay as they are.
 * @param config its `roots` are replaced in place, so that objects that hold the configuration see them
 * @param byDefault the roots before any client offered others
 * @param offered `file:` URIs; what else a client offers is ignored
 */
export function useClientRoots(
  config: Pick<Config, "roots" | "rootsByDefault">,
  byDefault: readonly string[],
  offered: readonly string[],
  env: NodeJS.ProcessEnv,
): void {
  if (!config.rootsByDefault) return;
  const folders = offered.map(folderOf).filter((one): one is string => one !== null && !isNoDefaultRoot(one, env));
  const usable =
    byDefault.length === 0 ? folders : folders.filter((one) => byDefault.some((root) => isWithin(root, one)));
  const roots = usable.length > 0 ? usable : byDefault;
  excludeProgramsBelow(roots);
  config.roots.splice(0, config.roots.length, ...new Set(roots));
}

function folderOf(uri: string): string | null {
  try {
    const folder = realpathSync(fileURLToPath(uri));
    return statSync(folder).isDirectory() ? folder : null;
  } catch {
    return null;
  }
}
