/** Creates the virtual environment of an installation on this machine. */
import { dirname, join } from "node:path";
import { virtualEnvironmentCommand } from "../../shared/virtual-environment.js";
import { downloadCache } from "./dependency-cache.js";
import type { InstallContext } from "./install-context.js";
import { installStep } from "./install-step.js";
import { installerEnvironment } from "./installer-environment.js";

/** @returns the environment variables for further steps in it */
export async function createVirtualEnvironment(
  context: InstallContext,
  python: string,
  venv: string,
): Promise<Record<string, string>> {
  const env = {
    ...installerEnvironment({ ...context, path: [dirname(python)] }),
    PIP_CACHE_DIR: join(await downloadCache(context), "pip"),
  };
  await installStep(context, "Creating the virtual environment", {
    argv: virtualEnvironmentCommand(python, venv),
    cwd: context.home,
    env,
  });
  return env;
}
