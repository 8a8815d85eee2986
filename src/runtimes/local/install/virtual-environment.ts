/** Creates virtual environments of Python for installations. */
import { dirname, join } from "node:path";
import { downloadCache } from "./dependency-cache.js";
import type { InstallContext } from "./install-context.js";
import { installStep } from "./install-step.js";
import { installerEnvironment } from "./installer-environment.js";

/**
 * Creates an environment like that of `python -m venv`, with less work: venv lets ensurepip run pip from its wheel, and
 * pip then installs and compiles itself, which takes 4 s of processor time. These wheels have no data files, so that
 * unpacking them is enough. Python compiles the modules of pip when pip first imports them. The modules of setuptools
 * are compiled here, because a service may import them and cannot write into the environment. `python -m venv` runs
 * where the wheels are not found, and for older versions of Python.
 */
const CREATE = `import compileall, glob, os, sys, sysconfig, zipfile

target = sys.argv[1]
projects = ["pip"] if sys.version_info >= (3, 12) else ["pip", "setuptools"]
PROGRAM = """#!/bin/sh
'''exec' "%s" "$0" "$@"
' '''
import sys
from pip._internal.cli.main import main
sys.exit(main())
"""

def bundled():
    try:
        import ensurepip, venv
    except ImportError:
        return None
    for folder in sysconfig.get_config_var("WHEEL_PKG_DIR"), os.path.join(os.path.dirname(ensurepip.__file__), "_bundled"):
        paths = [sorted(glob.glob(os.path.join(folder, project + "-*.whl"))) for project in projects if folder]
        if paths and all(paths):
            return [path[-1] for path in paths]

def write(path, text):
    with open(path, "w") as file:
        file.write(text)

wheels = bundled() if sys.version_info >= (3, 10) else None
if wheels is None:
    os.execv(sys.executable, [sys.executable, "-m", "venv", target])

import venv
venv.create(target, symlinks=True)
[site] = glob.glob(os.path.join(glob.escape(target), "lib", "*", "site-packages"))
for project, wheel in zip(projects, wheels):
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
        names = archive.namelist()
    [info] = {name.split("/")[0] for name in names if ".dist-info/" in name}
    added = [info + "/INSTALLER", info + "/REQUESTED"]
    write(os.path.join(site, added[0]), "pip\\n")
    write(os.path.join(site, added[1]), "")
    for name in ["pip", "pip3", "pip%d.%d" % sys.version_info[:2]] if project == "pip" else []:
        program = os.path.join(target, "bin", name)
        write(program, PROGRAM % os.path.join(target, "bin", "python"))
        os.chmod(program, 0o755)
        added.append(os.path.relpath(program, site))
    with open(os.path.join(site, info, "RECORD"), "a") as record:
        record.writelines(path + ",,\\n" for path in added)
    for name in names if project != "pip" else []:
        if name.endswith(".py"):
            compileall.compile_file(os.path.join(site, name), quiet=2)
`;

/** @returns the arguments of a command that creates a virtual environment with pip */
export const virtualEnvironmentCommand = (python: string, venv: string): string[] => [python, "-I", "-c", CREATE, venv];

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
