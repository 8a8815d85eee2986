/** Python dependencies: a virtual environment for each content of the requirements files. */
import { dirname, join, relative } from "node:path";
import { StackwardenError } from "../../../errors.js";
import { readRequirements } from "../../shared/manifests/python.js";
import { pipInstall, virtualEnvironmentCommand } from "../../shared/virtual-environment.js";
import { findPython, firstRunnable } from "../toolchain/binaries.js";
import { installCommand, PYTHON } from "../toolchain/install-command.js";
import { PYTHON_DETAILS, programOutput } from "../toolchain/program-output.js";
import { dependencies, downloadCache } from "./dependency-cache.js";
import type { InstallContext } from "./install-context.js";
import { installStep, lastLines } from "./install-step.js";
import { installerEnvironment } from "./installer-environment.js";

/** Increase it when the installation method changes, so that existing environments are rebuilt. */
const RECIPE = "2";

export async function pythonFor(context: Pick<InstallContext, "user" | "host">): Promise<string> {
  const python = await firstRunnable([await findPython()], context.user, context.host);
  if (python !== null) return python;
  throw new StackwardenError("RUNTIME_UNAVAILABLE", "No python3 that a service's user can run was found.", {
    hint: `Install it: ${installCommand(PYTHON)}`,
  });
}

/** Decides whether an installed environment still fits. */
async function versionOf(python: string, context: InstallContext): Promise<string> {
  const { exitCode, output } = await programOutput(python, PYTHON_DETAILS, context);
  context.signal.throwIfAborted();
  if (exitCode === 0) return output.trim();
  throw new StackwardenError("RUNTIME_UNAVAILABLE", `${python} does not run.`, {
    hint: "Repair the system's Python installation.",
    details: { last_lines: lastLines(output) },
  });
}

/**
 * @param manifest a requirements file in the project's folder
 * @param root the folder that the service runs in: the project's, or its copy
 * @returns the directory of the virtual environment
 */
export async function installPython(
  context: InstallContext,
  manifest: string,
  root: string,
): Promise<{ venv: string; installed: boolean }> {
  const { files, empty, usesSources } = readRequirements(manifest, context.folder);
  const python = await pythonFor(context);
  const inRoot = join(root, relative(context.folder, manifest));
  const { dir, installed } = await dependencies(context, {
    parts: [RECIPE, python, await versionOf(python, context), ...files.map(({ text }) => text)],
    exclusive: usesSources,
    build: async (venv) => {
      const env = { ...installerEnvironment(context), PIP_CACHE_DIR: await downloadCache(context) };
      await installStep(context, "Creating the virtual environment", {
        argv: empty ? [python, "-m", "venv", "--without-pip", venv] : virtualEnvironmentCommand(python, venv),
        cwd: context.home,
        env,
      });
      if (empty) return;
      await installStep(context, "pip install", {
        argv: [join(venv, "bin", "python"), ...pipInstall(true), "-r", inRoot],
        cwd: dirname(inRoot),
        env,
      });
    },
  });
  return { venv: dir, installed };
}
