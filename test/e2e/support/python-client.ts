/** The Python SDK in an exact version, in an environment that is created once for a clone. */
import { join } from "node:path";
import { kept } from "./package.js";
import { environmentWith, pythonVersion } from "./python-environment.js";

const VERSION = "2.3.0";

/** @returns path of the environment's Python */
export async function pythonClient(): Promise<string> {
  const folder = await kept(`python-${await pythonVersion("python3")}-mcp@${VERSION}`, (fresh) =>
    // Python compiles the modules that the client imports, a small part of the installed ones.
    environmentWith("python3", fresh, ["install", "--no-compile", `mcp==${VERSION}`]),
  );
  return join(folder, "bin", "python");
}
