/** Virtual environments of Python for tests. */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { virtualEnvironmentCommand } from "../../../src/runtimes/shared/virtual-environment.js";

const run = promisify(execFile);

export async function pythonVersion(python: string): Promise<string> {
  const { stdout } = await run(python, ["-c", "import sys; print(sys.version.split()[0])"]);
  return stdout.trim();
}

/** Creates an environment in a folder and runs pip in it, as in `["install", "mcp"]`. */
export async function environmentWith(
  python: string,
  folder: string,
  [action = "", ...options]: string[],
): Promise<void> {
  const [command = "", ...args] = virtualEnvironmentCommand(python, folder);
  await run(command, args);
  const pip = ["-m", "pip", action, "--quiet", "--disable-pip-version-check", ...options];
  await run(join(folder, "bin", "python"), pip);
}
