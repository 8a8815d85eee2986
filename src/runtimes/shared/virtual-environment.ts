/** Creates virtual environments of Python for installations, and installs packages in them. */

/**
 * A Python program that creates an environment in the folder of its argument, like `python -m venv` with less work: venv
 * lets ensurepip run pip from its wheel, and pip then installs and compiles itself, which takes 4 s of processor time.
 * These wheels have no data files, so that unpacking them is enough. Most installations of Python have the same pip and
 * setuptools unpacked and compiled already: these modules are copied. Otherwise Python compiles the modules of pip when
 * pip first imports them, and the modules of setuptools are compiled here, because a service may import them and cannot
 * write into the environment.
 * `python -m venv` runs where the wheels are not found, and for older versions of Python.
 */
export const CREATE_ENVIRONMENT = `import glob, importlib.util, os, py_compile, sys, sysconfig, zipfile, zlib

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
    ensurepip = importlib.util.find_spec("ensurepip")
    if ensurepip is None or importlib.util.find_spec("venv") is None:
        return None
    for folder in sysconfig.get_config_var("WHEEL_PKG_DIR"), os.path.join(os.path.dirname(ensurepip.origin), "_bundled"):
        paths = [sorted(glob.glob(os.path.join(folder, project + "-*.whl"))) for project in projects if folder]
        if paths and all(paths):
            return [path[-1] for path in paths]

def write(path, text):
    with open(path, "w") as file:
        file.write(text)

def read(path):
    with open(path, "rb") as file:
        return file.read()

def compiled(path):
    folder, name = os.path.split(path)
    return os.path.join(folder, "__pycache__", name[:-2] + sys.implementation.cache_tag + ".pyc")

installed = [path for path in sys.path if os.path.basename(path) in ("site-packages", "dist-packages")]
made = set()

def copy_installed(module, target):
    """Copies a module and its compiled form from this Python where it has one with the same text."""
    for folder in installed:
        source = os.path.join(folder, module.filename)
        try:
            about = os.stat(source)
            if about.st_size != module.file_size:
                continue
            text = read(source)
            if zlib.crc32(text) != module.CRC:
                continue
            code = read(compiled(source))
        except OSError:
            continue
        cache = os.path.dirname(compiled(target))
        if cache not in made:
            os.makedirs(cache, exist_ok=True)
            made.add(cache)
        for path, content in (target, text), (compiled(target), code):
            with open(path, "wb") as file:
                file.write(content)
        # Python ignores a compiled module whose source has another time.
        os.utime(target, ns=(about.st_atime_ns, about.st_mtime_ns))
        return True
    return False

wheels = bundled() if sys.version_info >= (3, 10) else None
if wheels is None:
    os.execv(sys.executable, [sys.executable, "-m", "venv", target])

import venv
venv.create(target, symlinks=True)
[site] = glob.glob(os.path.join(glob.escape(target), "lib", "*", "site-packages"))
for project, wheel in zip(projects, wheels):
    with zipfile.ZipFile(wheel) as archive:
        for file in archive.infolist():
            path = os.path.join(site, file.filename)
            if file.filename.endswith(".py") and copy_installed(file, path):
                continue
            archive.extract(file, site)
            if file.filename.endswith(".py") and project != "pip":
                py_compile.compile(path, quiet=2)
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
`;

/**
 * Arguments of the environment's Python that install packages.
 * @param isFirst nothing has been installed yet: the packages of one call fit each other, so that pip need not read all
 *   metadata again to warn of conflicts
 */
export const pipInstall = (isFirst: boolean): string[] => [
  ...["-m", "pip", "install", "--no-input", "--disable-pip-version-check", "--progress-bar", "off"],
  ...(isFirst ? ["--no-warn-conflicts"] : []),
];

/** @returns the arguments of a command that creates a virtual environment with pip */
export const virtualEnvironmentCommand = (python: string, venv: string): string[] => [
  python,
  "-I",
  "-c",
  CREATE_ENVIRONMENT,
  venv,
];
