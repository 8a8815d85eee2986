/** The Python SDK in an exact version, in an environment that is created once for a clone. */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { virtualEnvironmentCommand } from "../../../src/runtimes/shared/virtual-environment.js";
import { kept } from "./package.js";

const VERSION = "2.3.0";
const run = promisify(execFile);

/** @returns path of the environment's Python */
export async function pythonClient(): Promise<string> {
  const { stdout } = await run("python3", ["-c", "import sys; print(sys.version.split()[0])"]);
  const folder = await kept(`python-${stdout.trim()}-mcp@${VERSION}`, async (fresh) => {
    const [command = "", ...args] = virtualEnvironmentCommand("python3", fresh);
    await run(command, args);
    // Python compiles the modules that the client imports, a small part of the installed ones.
    const install = ["install", "--quiet", "--disable-pip-version-check", "--no-compile", `mcp==${VERSION}`];
    await run(join(fresh, "bin", "python"), ["-m", "pip", ...install]);
  });
  return join(folder, "bin", "python");
}
