// Small helpers shared by the scripts. Plain Node: they run before anything is installed.
import { spawnSync } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("../..", import.meta.url));

/** Everything the scripts say goes to stderr, so that a caller's stdout stays its own. */
export const say = (text) => process.stderr.write(`${text}\n`);

/**
 * Runs a command to its end with its output passed on; no shell.
 * @returns {boolean} whether it succeeded
 */
export function run(command, args, options = {}) {
  const result = spawnSync(command, args, { cwd: root, stdio: ["ignore", 2, 2], ...options });
  if (result.error) say(`${command}: ${result.error.message}`);
  return result.status === 0;
}

/** npm without a shell: the npm that runs us, else the one on PATH. */
export function npm(args, options = {}) {
  const cli = process.env.npm_execpath;
  if (cli !== undefined && /\.c?js$/.test(cli)) return run(process.execPath, [cli, ...args], options);
  return run(process.platform === "win32" ? "npm.cmd" : "npm", args, options);
}

export function onPath(program) {
  return (process.env.PATH ?? "").split(delimiter).some((folder) => {
    if (folder === "") return false;
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** The JavaScript entry of an installed tool, so that no shell script and no PATH is involved. */
export const tool = (...path) => join(root, "node_modules", ...path);
