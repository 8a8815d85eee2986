/** Packages that only tests need, in exact versions, installed once for a clone without their scripts. */
import { execFile } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { registryEnvironment } from "../../support/per-run.mjs";
import { ROOT } from "./bench.js";

const KEPT = join(ROOT, "node_modules", ".cache", "stackwarden-tests");

/** The folder of this name, filled when it does not exist. */
export async function kept(name: string, fill: (folder: string) => Promise<void>): Promise<string> {
  const folder = join(KEPT, name.replaceAll("/", "+"));
  if (existsSync(folder)) return folder;
  mkdirSync(KEPT, { recursive: true });
  const fresh = mkdtempSync(join(KEPT, ".new-"));
  try {
    await fill(fresh);
    renameSync(fresh, folder);
  } catch (error) {
    rmSync(fresh, { recursive: true, force: true });
    // Another test file has installed it meanwhile.
    if (!existsSync(folder)) throw error;
  }
  return folder;
}

/** @returns path below the package's folder */
export async function installed(name: string, version: string): Promise<(...parts: string[]) => string> {
  const folder = await kept(`${name}@${version}`, async (fresh) => {
    writeFileSync(join(fresh, "package.json"), '{ "private": true }\n');
    const install = ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-save", `${name}@${version}`];
    const cli = process.env.npm_execpath;
    const [command, args]: [string, string[]] = cli?.endsWith(".js")
      ? [process.execPath, [cli, ...install]]
      : ["npm", install];
    await promisify(execFile)(command, args, { cwd: fresh, env: { ...process.env, ...registryEnvironment() } });
  });
  return (...parts) => join(folder, "node_modules", name, ...parts);
}
