/** Python dependencies: a virtual environment for each content of requirements.txt. */
import { readFile } from "node:fs/promises";
import { dirname, isAbsolute, join, relative, resolve } from "node:path";
import { StackwardenError } from "../../../errors.js";
import { lastLine } from "../../shared/last-line.js";
import { findPython, firstRunnable } from "../binaries.js";
import {
  cachedDependencies,
  downloadCache,
  hashOf,
  type InstallContext,
  installingAs,
  installStep,
} from "./dependency-cache.js";
import { installerEnvironment } from "./installer-environment.js";

/** Raise it when the way of installing changes, so that old environments are built again. */
const RECIPE = "1";

const INCLUDE = /^\s*(?:-r|--requirement|-c|--constraint)[ =]?\s*(\S+)/;

/**
 * The text of a requirements file and of everything it includes.
 * @throws DEPENDENCY_INSTALL_FAILED when one is missing or lies outside the project
 */
export async function readRequirements(manifest: string, root: string, seen = new Set<string>()): Promise<string[]> {
  if (seen.has(manifest)) return [];
  seen.add(manifest);
  const inner = relative(root, manifest);
  const outside = inner.startsWith("..") || isAbsolute(inner);
  const text = outside ? null : await readFile(manifest, "utf8").catch(() => null);
  if (text === null) {
    throw new StackwardenError(
      "DEPENDENCY_INSTALL_FAILED",
      `The requirements file ${inner} ${outside ? "is outside the project's folder" : "cannot be read"}.`,
      { hint: "Correct the path in x-local.install.manifest, or in the file that includes it." },
    );
  }
  const parts = [text];
  for (const line of text.split(/\r?\n/)) {
    const included = INCLUDE.exec(line)?.[1];
    if (included !== undefined && !/^[a-z]+:\/\//.test(included)) {
      parts.push(...(await readRequirements(resolve(dirname(manifest), included), root, seen)));
    }
  }
  return parts;
}

const isEmpty = (parts: string[]): boolean =>
  parts.every((text) => text.split(/\r?\n/).every((line) => /^\s*(#.*|-[rc]\s.*)?$/.test(line)));

export async function pythonFor(context: Pick<InstallContext, "user" | "host">): Promise<string> {
  const found = await firstRunnable([await findPython()], context.user, context.host);
  if (found !== null) return found;
  throw new StackwardenError("RUNTIME_UNAVAILABLE", "No python3 that a service's user can run was found.", {
    hint: "Install it, on Debian or Ubuntu: sudo apt-get install -y python3-venv",
  });
}

async function versionOf(python: string, context: InstallContext): Promise<string> {
  const { exitCode, output } = await context.host.run({
    argv: [python, "-c", "import sys, platform; print(sys.version, platform.machine())"],
    cwd: "/",
    env: installerEnvironment(context),
    ...installingAs(context),
    timeoutMs: 20_000,
  });
  context.signal.throwIfAborted();
  if (exitCode === 0) return output.trim();
  throw new StackwardenError("RUNTIME_UNAVAILABLE", `${python} does not run.`, {
    hint: "Repair the system's Python installation.",
    details: { output: lastLine(output) },
  });
}

/** @returns the virtual environment's directory */
export async function installPython(
  context: InstallContext,
  manifest: string,
  root: string,
): Promise<{ venv: string; installed: boolean }> {
  const parts = await readRequirements(manifest, root);
  const python = await pythonFor(context);
  const hash = hashOf([RECIPE, await versionOf(python, context), ...parts]);
  const { dir, installed } = await cachedDependencies(context, hash, async (venv) => {
    const env = { ...installerEnvironment(context), PIP_CACHE_DIR: await downloadCache(context) };
    const nothing = isEmpty(parts);
    await installStep(context, "Making the virtual environment", {
      argv: [python, "-m", "venv", ...(nothing ? ["--without-pip"] : []), venv],
      cwd: context.home,
      env,
    });
    if (nothing) return;
    const pip = [join(venv, "bin", "python"), "-m", "pip", "install", "--no-input", "--disable-pip-version-check"];
    await installStep(context, "pip install", {
      argv: [...pip, "--progress-bar", "off", "-r", manifest],
      cwd: dirname(manifest),
      env,
    });
  });
  return { venv: dir, installed };
}
