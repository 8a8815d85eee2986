/** One virtual environment for all installations of a service: pip, uv, Poetry and Pipenv. */
import { join, relative, resolve } from "node:path";
import { isBeneath } from "../../../system/is-beneath.js";
import { readRequirements } from "../../shared/manifests/python.js";
import { manifestError, readManifestText, requireManifestText } from "../../shared/manifests/read-manifest.js";
import { pipInstall } from "../../shared/virtual-environment.js";
import { writePrivateFile } from "../files/create.js";
import { readOwnFile } from "../files/read.js";
import type { Installation } from "../image/classify.js";
import type { InstallStep } from "../image/recipe.js";
import { dependencies, downloadCache } from "./dependency-cache.js";
import type { InstallContext } from "./install-context.js";
import { installStep } from "./install-step.js";
import { createVirtualEnvironment } from "./virtual-environment.js";

const RECIPE = "2";

type PythonInstallation = Extract<Installation, { language: "python" }>;

export interface PythonInstall {
  steps: { installation: PythonInstallation; folder: string }[];
  /** Python of the service, and its version. */
  python: string;
  version: string;
  /** Finds uv, Poetry or Pipenv. */
  tool(name: string): Promise<{ argv: string[]; path: string[] }>;
}

export const isPythonStep = (step: InstallStep): step is InstallStep & { installation: PythonInstallation } =>
  step.installation.language === "python";

interface Part {
  installation: PythonInstallation;
  folder: string;
  /** Files that decide what is installed: their path in the folder, and their text. */
  files: { path: string; text: string }[];
}

const LOCKED_FILES = {
  uv: ["pyproject.toml", "uv.lock", ".python-version", "uv.toml"],
  poetry: ["pyproject.toml", "poetry.lock", "poetry.toml"],
  pipenv: ["Pipfile", "Pipfile.lock"],
  pip: ["pyproject.toml"],
} as const;

function partOf(installation: PythonInstallation, folder: string, project: string): Part {
  const { tool, requirements, packages } = installation;
  const files: Part["files"] = [];
  const fromManifest =
    requirements.length === 0 && (packages.length === 0 || packages.some((one) => /^\.\/?(\[|$)/.test(one)));
  if (fromManifest)
    for (const name of LOCKED_FILES[tool]) {
      const text = readManifestText(join(folder, name), project);
      if (text !== undefined) files.push({ path: name, text });
    }
  if (fromManifest && files.length === 0)
    throw manifestError(`${relative(project, join(folder, LOCKED_FILES[tool][0]))} does not exist.`);
  for (const written of requirements) {
    const path = resolve(folder, written);
    if (!isBeneath(project, path))
      throw manifestError(`The requirements file ${written} is outside the project's folder.`);
    if (written.endsWith(".toml")) {
      files.push({ path: written, text: requireManifestText(path, project) });
      continue;
    }
    const { files: read, usesSources } = readRequirements(path, project);
    if (usesSources)
      throw manifestError(`${written} installs packages from the project's own folders, which needs a copy of them.`);
    for (const one of read) files.push({ path: relative(folder, one.path), text: one.text });
  }
  return { installation, folder, files };
}

/** pip brings a TOML reader. */
const READ_TOML = `import os, re, sys
try:
    import tomllib as toml
except ImportError:
    from pip._vendor import tomli as toml
`;

/** Prints the dependencies of a pyproject.toml, one a line. */
const DEPENDENCIES = `${READ_TOML}project = toml.load(open(sys.argv[1], "rb")).get("project", {})
lines = list(project.get("dependencies", []))
for extra in sys.argv[3:]:
    lines += project.get("optional-dependencies", {}).get(extra, [])
open(sys.argv[2], "w").write("\\n".join(lines) + "\\n")
`;

const DEPENDENCY_LIST = "dependencies.txt";

async function withPip(
  context: InstallContext,
  { installation, folder, isFirst }: Part & { isFirst: boolean },
  venv: string,
  env: Record<string, string>,
): Promise<void> {
  const python = join(venv, "bin", "python");
  const packages = installation.requirements.flatMap((written) => ["-r", resolve(folder, written)]);
  for (const one of installation.packages) {
    const extras = /^\.\/?(?:\[([^\]]*)\])?$/.exec(one);
    if (extras === null) {
      packages.push(one);
      continue;
    }
    // The project itself stays where it is; its sources come by PYTHONPATH.
    const list = join(context.tmp, DEPENDENCY_LIST);
    const names = (extras[1] ?? "")
      .split(",")
      .map((name) => name.trim())
      .filter(Boolean);
    await installStep(context, "Reading pyproject.toml", {
      argv: [python, "-c", DEPENDENCIES, join(folder, "pyproject.toml"), list, ...names],
      cwd: context.tmp,
      env,
    });
    // pip takes seconds of processor time to install nothing.
    if ((await readOwnFile(context.tmp, DEPENDENCY_LIST))?.trim() !== "") packages.push("-r", list);
  }
  if (packages.length === 0) return;
  await installStep(context, "pip install", {
    argv: [python, ...pipInstall(isFirst), ...installation.options, ...packages],
    cwd: folder,
    env,
  });
}

/**
 * Writes the programs that a pyproject.toml declares for the project itself (`serve = "app.main:run"`): the project is
 * not installed, because its sources stay where they are.
 */
const PROGRAMS = `${READ_TOML}manifest = toml.load(open(sys.argv[1], "rb"))
declared = dict(manifest.get("tool", {}).get("poetry", {}).get("scripts", {}))
declared.update(manifest.get("project", {}).get("scripts", {}))
for name, entry in declared.items():
    found = re.match(r"([\\w.]+):([\\w.]+)", entry if isinstance(entry, str) else "")
    path = os.path.join(os.path.dirname(sys.executable), name)
    if found is None or not re.fullmatch(r"[\\w.-]+", name) or os.path.exists(path):
        continue
    module, function = found.groups()
    lines = ["#!" + sys.executable, "import sys", f"from {module} import {function.split('.')[0]}", f"sys.exit({function}())"]
    open(path, "w").write("\\n".join(lines) + "\\n")
    os.chmod(path, 0o755)
`;

async function withPrograms(
  context: InstallContext,
  { files }: Part,
  venv: string,
  env: Record<string, string>,
): Promise<void> {
  const manifest = files.find(({ path }) => path === "pyproject.toml");
  if (manifest === undefined || !/^\s*\[(?:project|tool\.poetry)\.scripts\]/m.test(manifest.text)) return;
  const path = await writePrivateFile(join(context.tmp, "pyproject.toml"), manifest.text, context.user);
  await installStep(context, "Adding the project's own programs", {
    argv: [join(venv, "bin", "python"), "-c", PROGRAMS, path],
    cwd: context.tmp,
    env,
  });
}

/** uv, Poetry and Pipenv read the manifest and its lock from a folder that has nothing else. */
async function withLock(
  context: InstallContext,
  { installation, files }: Part,
  request: PythonInstall,
  venv: string,
  env: Record<string, string>,
): Promise<void> {
  const { tool, options } = installation;
  const place = context.tmp;
  for (const { path, text } of files) await writePrivateFile(join(place, path), text, context.user);
  const locked = files.some(({ path }) => /\.lock$/.test(path));
  const program = await request.tool(tool);
  const words = {
    uv: [
      "sync",
      ...(locked ? ["--frozen"] : []),
      "--no-install-project",
      "--no-install-workspace",
      "--no-progress",
      ...options,
    ],
    poetry: ["install", "--no-root", "--no-interaction", "--no-ansi", ...options.filter((one) => one !== "--no-root")],
    pipenv: [locked ? "sync" : "install", ...options],
    pip: [],
  }[tool];
  const cache = await downloadCache(context);
  await installStep(context, `${tool} ${words[0]}`, {
    argv: [...program.argv, ...words],
    cwd: place,
    env: {
      ...env,
      PATH: [join(venv, "bin"), ...program.path, env.PATH ?? ""].join(":"),
      VIRTUAL_ENV: venv,
      UV_PROJECT_ENVIRONMENT: venv,
      UV_PYTHON: request.python,
      UV_PYTHON_DOWNLOADS: "never",
      UV_LINK_MODE: "copy",
      UV_CACHE_DIR: join(cache, "uv"),
      POETRY_CACHE_DIR: join(cache, "poetry"),
      POETRY_VIRTUALENVS_CREATE: "false",
      PIPENV_CACHE_DIR: join(cache, "pipenv"),
      PIPENV_VERBOSITY: "-1",
    },
  });
}

/** @returns the directory of the virtual environment */
export async function installPythonEnvironment(context: InstallContext, request: PythonInstall): Promise<string> {
  const { steps, python, version } = request;
  const parts = steps.map(({ installation, folder }) => partOf(installation, folder, context.folder));
  const inputs = parts.flatMap(({ installation, files }) => [
    JSON.stringify(installation),
    ...files.flatMap(({ path, text }) => [path, text]),
  ]);
  const { dir } = await dependencies(context, {
    parts: [RECIPE, python, version, ...inputs],
    exclusive: false,
    build: async (venv) => {
      const env = await createVirtualEnvironment(context, python, venv);
      for (const part of parts) {
        const byPip =
          part.installation.tool === "pip" ||
          part.installation.requirements.length > 0 ||
          part.installation.packages.length > 0;
        if (byPip) await withPip(context, { ...part, isFirst: part === parts[0] }, venv, env);
        else await withLock(context, part, request, venv, env);
        await withPrograms(context, part, venv, env);
      }
    },
  });
  return dir;
}
