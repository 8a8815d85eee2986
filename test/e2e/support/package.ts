/** Brings a package that only a test needs, of an exact version, into a folder of its own; none of its scripts run. */
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

export interface Brought {
  /** Path below the package's folder. */
  path(...parts: string[]): string;
  remove(): void;
}

export async function bring(name: string, version: string): Promise<Brought> {
  const folder = mkdtempSync(join(tmpdir(), "stackwarden-package-"));
  const remove = () => rmSync(folder, { recursive: true, force: true });
  writeFileSync(join(folder, "package.json"), '{ "private": true }\n');
  const install = ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-save", `${name}@${version}`];
  const cli = process.env.npm_execpath;
  const [command, args]: [string, string[]] = cli?.endsWith(".js")
    ? [process.execPath, [cli, ...install]]
    : ["npm", install];
  try {
    await promisify(execFile)(command, args, { cwd: folder });
  } catch (error) {
    remove();
    throw error;
  }
  return { path: (...parts) => join(folder, "node_modules", name, ...parts), remove };
}
