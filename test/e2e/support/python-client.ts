/** The Python client of an exact version, in an environment of its own. */
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const VERSION = "2.3.0";
const run = promisify(execFile);

export async function pythonClient(): Promise<{ python: string; remove(): void }> {
  const folder = mkdtempSync(join(tmpdir(), "stackwarden-python-"));
  const remove = () => rmSync(folder, { recursive: true, force: true });
  const python = join(folder, "bin", "python");
  try {
    await run("python3", ["-m", "venv", folder]);
    await run(python, ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", `mcp==${VERSION}`]);
  } catch (error) {
    remove();
    throw error;
  }
  return { python, remove };
}
