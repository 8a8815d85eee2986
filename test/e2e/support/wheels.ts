/** Wheels of a requirements file, downloaded once for a clone, so that tests install them without a registry. */
import { createHash } from "node:crypto";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { findPython } from "../../../src/runtimes/local/toolchain/binaries.js";
import { kept } from "./package.js";
import { environmentWith, pythonVersion } from "./python-environment.js";

/** @returns a folder with the wheels that pip of the system's Python selects */
export async function wheelsOf(requirements: string): Promise<string> {
  const python = (await findPython()) ?? "python3";
  const hash = createHash("sha256").update(readFileSync(requirements)).digest("hex").slice(0, 12);
  return kept(`python-${await pythonVersion(python)}-wheels-${hash}`, async (fresh) => {
    const venv = join(fresh, "venv");
    await environmentWith(python, venv, ["download", "--only-binary", ":all:", "--dest", fresh, "-r", requirements]);
    rmSync(venv, { recursive: true });
  });
}
