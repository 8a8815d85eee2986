/** Wheels of a requirements file, downloaded once for a clone, so that tests install them without a registry. */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { findPython } from "../../../src/runtimes/local/binaries.js";
import { virtualEnvironmentCommand } from "../../../src/runtimes/shared/virtual-environment.js";
import { kept } from "./package.js";

const run = promisify(execFile);

/** @returns a folder with the wheels that pip of the system's Python selects */
export async function wheelsOf(requirements: string): Promise<string> {
  const python = (await findPython()) ?? "python3";
  const { stdout } = await run(python, ["-c", "import sys; print(sys.version.split()[0])"]);
  const hash = createHash("sha256").update(readFileSync(requirements)).digest("hex").slice(0, 12);
  return kept(`python-${stdout.trim()}-wheels-${hash}`, async (fresh) => {
    const venv = join(fresh, "venv");
    const [command = "", ...args] = virtualEnvironmentCommand(python, venv);
    await run(command, args);
    const download = ["download", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:", "--dest", fresh];
    await run(join(venv, "bin", "python"), ["-m", "pip", ...download, "-r", requirements]);
    rmSync(venv, { recursive: true });
  });
}
