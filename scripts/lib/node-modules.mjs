// Decides whether node_modules is what package-lock.json asks for, without asking npm (which needs seconds) or the network.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

/**
 * Compares two lock files (npm's lockfileVersion 2 or 3): the project's and the one npm leaves in node_modules.
 * Optional packages may be absent: they are other platforms' binaries.
 * @param {{packages?: Record<string, {version?: string, optional?: boolean, devOptional?: boolean, link?: boolean}>}} wanted
 * @param {{packages?: Record<string, {version?: string}>}} installed
 * @returns {string[]} what is missing or of another version; empty when nothing has to be done
 */
export function staleness(wanted, installed) {
  const problems = [];
  for (const [path, entry] of Object.entries(wanted.packages ?? {})) {
    if (path === "" || entry.link === true) continue;
    const found = installed.packages?.[path];
    if (found === undefined) {
      if (entry.optional !== true && entry.devOptional !== true) problems.push(`${path} is missing`);
    } else if (found.version !== entry.version) {
      problems.push(`${path} is ${found.version}, wanted ${entry.version}`);
    }
  }
  return problems;
}

/**
 * @param {string} root the project's folder
 * @returns {string | null} why an installation is needed, or null
 */
export function whyInstall(root) {
  const hidden = join(root, "node_modules", ".package-lock.json");
  if (!existsSync(hidden)) return "node_modules is missing";
  const read = (path) => JSON.parse(readFileSync(path, "utf8"));
  const problems = staleness(read(join(root, "package-lock.json")), read(hidden));
  return problems.length === 0 ? null : `node_modules is stale (${problems.slice(0, 3).join("; ")})`;
}
