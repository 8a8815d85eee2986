import { execFileSync, spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readdirSync, statSync, symlinkSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { InstallContext } from "../../../../src/runtimes/local/install/install-context.js";
import { installPython, pythonFor } from "../../../../src/runtimes/local/install/python.js";
import { installPythonEnvironment } from "../../../../src/runtimes/local/install/python-environment.js";
import { createVirtualEnvironment } from "../../../../src/runtimes/local/install/virtual-environment.js";
import { InstallFixture, wheel } from "../support/install-context.js";

const isRoot = process.getuid?.() === 0;

describe("installPython", () => {
  const fixture = new InstallFixture();
  const run = (venv: string, uid: number, code: string) =>
    execFileSync(join(venv, "bin/python"), ["-c", code], {
      encoding: "utf8",
      cwd: "/",
      ...(isRoot ? { uid, gid: uid } : {}),
    }).trim();
  const pips = () => fixture.host.ran.filter((argv) => argv.includes("pip")).length;
  let before: string[];

  beforeAll(() => {
    wheel(fixture.folder, "stacktiny", "1.0");
    wheel(fixture.folder, "stacktiny", "2.0");
    // pip resolves a relative path from its working directory, which is the manifest's folder.
    fixture.file("app/requirements.txt", "-r ../more.txt\n");
    fixture.file("more.txt", "../stacktiny-1.0-py3-none-any.whl\n");
    before = readdirSync(fixture.folder, { recursive: true }) as string[];
  });
  afterAll(() => fixture.close());

  it("python dependencies are installed once as the service's user, outside of the project", async () => {
    const context = await fixture.context();
    const manifest = join(fixture.folder, "app/requirements.txt");
    const first = await installPython(context, manifest, fixture.folder);
    expect(first.installed).toBe(true);
    expect(run(first.venv, context.user.uid, "import stacktiny; print(stacktiny.VERSION)")).toBe("1.0");
    expect(statSync(join(first.venv, "pyvenv.cfg")).uid).toBe(context.user.uid);
    expect(fixture.sink.all).toContain("Successfully installed stacktiny-1.0");
    expect(pips()).toBe(1);

    const second = await installPython(context, manifest, fixture.folder);
    expect(second).toEqual({ venv: first.venv, installed: false });
    expect(pips()).toBe(1);
    expect(readdirSync(fixture.folder, { recursive: true })).toEqual(before);

    // The included file changed, not the manifest itself.
    fixture.file("more.txt", "../stacktiny-2.0-py3-none-any.whl\n");
    const third = await installPython(context, manifest, fixture.folder);
    expect(third.installed).toBe(true);
    expect(run(third.venv, context.user.uid, "import stacktiny; print(stacktiny.VERSION)")).toBe("2.0");
    expect(existsSync(first.venv)).toBe(false);
  });

  it("a virtual environment has the pip and setuptools of ensurepip, which its user can remove completely", async () => {
    const context = await fixture.context({ service: "packages" });
    const python = "/usr/bin/python3";
    // A shebang with a space in the program's path does not work.
    const venv = join(context.home, "with space");
    await createVirtualEnvironment(context, python, venv);
    const as = {
      encoding: "utf8",
      cwd: "/",
      env: { HOME: context.home },
      ...(isRoot ? { uid: context.user.uid, gid: context.user.gid } : {}),
    } as const;
    const [, major, minor] = /^Python (\d+)\.(\d+)/.exec(execFileSync(python, ["-V"], as)) ?? [];
    const packages = Number(minor) < 12 ? ["pip", "setuptools"] : ["pip"];
    const site = join(venv, `lib/python${major}.${minor}/site-packages`);
    for (const name of packages) expect(statSync(join(site, name, "__init__.py")).uid).toBe(context.user.uid);
    if (packages.includes("setuptools")) {
      // Services cannot write into an environment, so that Python would compile the modules at each import.
      expect(readdirSync(join(site, "setuptools/__pycache__"))).toContain(`__init__.cpython-${major}${minor}.pyc`);
      const imported = spawnSync(join(venv, "bin/python"), ["-v", "-c", "import setuptools, pkg_resources"], as);
      expect(imported.status).toBe(0);
      // Python reports a compiled module of another text or time as stale, and compiles it again.
      expect(imported.stderr).toMatch(/setuptools\/__pycache__\/\S+ matches .*\/setuptools\/__init__\.py$/m);
      expect(imported.stderr).not.toMatch(/bytecode is stale.*(?:setuptools|pkg_resources)/);
    }
    const programs = () => readdirSync(join(venv, "bin")).filter((name) => name.startsWith("pip"));
    expect(programs().sort()).toEqual(["pip", "pip3", `pip${major}.${minor}`]);
    const removed = execFileSync(join(venv, "bin/pip"), ["uninstall", "--yes", ...packages], as);
    for (const name of packages) expect(removed).toContain(`Successfully uninstalled ${name}-`);
    expect(programs()).toEqual([]);
    expect(existsSync(site) ? readdirSync(site) : []).toEqual([]);
  });

  it.runIf(process.platform === "linux")("without ensurepip, the error has the lines of `python -m venv`", async () => {
    const context = await fixture.context({ service: "bad" });
    const script = "import os, sys; print(os.path.realpath(sys.executable)); print(os.path.dirname(os.__file__))";
    const [program = "", library = ""] = execFileSync("/usr/bin/python3", ["-c", script], { encoding: "utf8" }).split(
      "\n",
    );
    const folder = join(fixture.dir.path, "without-ensurepip");
    const copy = { program: join(folder, "bin/python3"), library: join(folder, "lib", basename(library)) };
    for (const path of Object.values(copy)) mkdirSync(dirname(path), { recursive: true });
    mkdirSync(copy.library);
    copyFileSync(program, copy.program);
    for (const name of readdirSync(library))
      if (name !== "ensurepip") symlinkSync(join(library, name), join(copy.library, name));
    await expect(createVirtualEnvironment(context, copy.program, join(context.home, "venv"))).rejects.toMatchObject({
      code: "DEPENDENCY_INSTALL_FAILED",
      message: 'Creating the virtual environment for "bad" ended with 1.',
      details: { last_lines: expect.arrayContaining([expect.stringContaining("ensurepip is not")]) },
    });
  });

  it("a requirements file without packages gives a virtual environment without pip", async () => {
    const manifest = fixture.file("empty.txt", "# nothing yet\n\n");
    const count = pips();
    const { venv } = await installPython(await fixture.context({ service: "empty" }), manifest, fixture.folder);
    expect(pips()).toBe(count);
    expect(existsSync(join(venv, "bin/pip"))).toBe(false);
    expect(existsSync(join(venv, "bin/python"))).toBe(true);
  });

  it("a failed installation reports pip's lines and leaves no files", async () => {
    const manifest = fixture.file("bad.txt", "./absent-1.0-py3-none-any.whl\n");
    const context = await fixture.context({ service: "bad" });
    const count = readdirSync(join(fixture.stateDir, "deps/environments")).length;
    await expect(installPython(context, manifest, fixture.folder)).rejects.toMatchObject({
      code: "DEPENDENCY_INSTALL_FAILED",
      message: 'pip install for "bad" ended with 1.',
      details: { service: "bad", last_lines: expect.arrayContaining([expect.stringContaining("absent-1.0")]) },
    });
    expect(readdirSync(join(fixture.stateDir, "deps/environments"))).toHaveLength(count);
  });

  const PYPROJECTS = [
    ["pip", "[project.scripts]", "pip install"],
    ["poetry", "[tool.poetry.scripts]", "poetry install --no-root --no-interaction --no-ansi --only main"],
  ] as const;
  let pyprojects: Promise<string> | undefined;

  /** One environment for the projects of both tools. */
  async function installPyprojects(context: InstallContext): Promise<string> {
    const steps = PYPROJECTS.map(([tool, table]) => {
      fixture.file(
        `${tool}/pyproject.toml`,
        `[project]\nname = "shop"\nversion = "1"\n\n${table}\n${tool}-serve = "shop.main:cli.run"\npython = "shop.main:cli.run"\n${tool}-bad = "os; print(1)"\n`,
      );
      fixture.file(`${tool}/${tool}.lock`, "");
      fixture.file(`${tool}/shop/main.py`, "class cli:\n    def run():\n        print('served')\n        return 7\n");
      const packages = tool === "pip" ? ["."] : [];
      const options = tool === "poetry" ? ["--only", "main"] : [];
      const installation = { language: "python" as const, tool, requirements: [], packages, options };
      return { installation, folder: join(fixture.folder, tool) };
    });
    return installPythonEnvironment(context, {
      steps,
      python: "/usr/bin/python3",
      version: "3.11",
      // A stub that prints its arguments.
      tool: async (name) => ({ argv: ["/bin/sh", "-c", 'echo "ran $0 $*"', name], path: [] }),
    });
  }

  it.each(PYPROJECTS)("a project that %s would install has the programs of its %s", async (tool, _table, ran) => {
    const context = await fixture.context({ service: "worker" });
    pyprojects ??= installPyprojects(context);
    const venv = await pyprojects;
    if (tool !== "pip") expect(fixture.sink.all).toContain(`ran ${ran}`);
    const env = { PYTHONPATH: join(fixture.folder, tool), PATH: "/usr/bin:/bin" };
    const served = spawnSync(join(venv, `bin/${tool}-serve`), { env, encoding: "utf8" });
    expect([served.status, served.stdout]).toEqual([7, "served\n"]);
    expect(existsSync(join(venv, `bin/${tool}-bad`))).toBe(false);
    expect(run(venv, context.user.uid, "print('still Python')")).toBe("still Python");
  });

  it("installPython fails with RUNTIME_UNAVAILABLE when no Python runs", async () => {
    const context = await fixture.context();
    const closed = { ...context, host: Object.assign(Object.create(context.host), { accessible: async () => false }) };
    await expect(pythonFor(closed)).rejects.toMatchObject({
      code: "RUNTIME_UNAVAILABLE",
      hint: expect.stringContaining("python3-venv"),
    });
    const broken = Object.assign(Object.create(context.host), {
      run: async () => ({ exitCode: 1, signal: null, timedOut: false, output: "segfault" }),
    });
    await expect(
      installPython({ ...context, host: broken }, join(fixture.folder, "empty.txt"), fixture.folder),
    ).rejects.toMatchObject({ code: "RUNTIME_UNAVAILABLE", details: { last_lines: ["segfault"] } });
  });
});
