import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { translateService } from "../../../../src/runtimes/local/image/translate.js";
import { installApp, prepareApp } from "../../../../src/runtimes/local/providers/app.js";
import type { RunSpec, TranslatedService } from "../../../../src/runtimes/local/types.js";
import type { ServiceDefinition } from "../../../../src/stack/definition/types.js";
import { service } from "../support/fixture.js";
import { Preparation } from "../support/preparation.js";

describe("prepareApp of a Dockerfile", () => {
  let preparation: Preparation;
  let node: string;
  beforeEach(() => {
    preparation = new Preparation();
    node = preparation.program("node");
    const cli = join(preparation.dir.path, "client/lib/node_modules/npm/bin/npm-cli.js");
    mkdirSync(dirname(cli), { recursive: true });
    writeFileSync(cli, "");
    preparation.host.answer = answer;
  });
  afterEach(() => preparation.close());

  const VERSIONS: Readonly<Record<string, string>> = {
    node: "v22.1.0",
    python3: "3.12.4 x86_64",
    go: "go version go1.22.3 linux/amd64",
    bun: "1.1.0",
  };
  const isQuestion = ({ argv: [, option] }: RunSpec) => option === "-c" || /^(--)?version$/.test(option ?? "");
  /** An installer leaves `node_modules` beside each package.json. */
  const answer = (spec: RunSpec) => {
    const name = spec.argv[0]?.split("/").at(-1) ?? "";
    if (isQuestion(spec) && spec.cwd === "/") return { output: VERSIONS[name] ?? "" };
    if (spec.cwd.includes("/deps/environments/"))
      for (const path of readdirSync(spec.cwd, { recursive: true, encoding: "utf8" }))
        if (path.endsWith("package.json"))
          mkdirSync(join(spec.cwd, dirname(path), "node_modules/tiny"), { recursive: true });
    const tool = /^(pnpm)@/.exec(spec.argv.at(-1) ?? "")?.[1];
    if (tool !== undefined) {
      mkdirSync(join(spec.cwd, "node_modules/.bin"), { recursive: true });
      writeFileSync(join(spec.cwd, "node_modules/.bin", tool), "", { mode: 0o755 });
    }
    return {};
  };
  /** Commands but those that ask for a version. */
  const commands = () => preparation.host.specs.filter((spec) => spec.cwd !== "/");
  const translated = (dockerfile: string, fields: Partial<ServiceDefinition> = {}) => {
    preparation.file("Dockerfile", dockerfile);
    const one = service("web", { build: { context: preparation.folder, args: {} }, ...fields });
    return translateService(one, preparation.folder);
  };
  const context = (one: TranslatedService) => preparation.context(one, { ports: { "web:3000": 43_000 } });
  const prepare = async (dockerfile: string, fields?: Partial<ServiceDefinition>) =>
    prepareApp(await context(await translated(dockerfile, fields)));
  const TINY = JSON.stringify({ dependencies: { tiny: "1" } });
  const NODE = (...lines: string[]) => ["FROM node:22", "WORKDIR /app", "COPY . .", ...lines].join("\n");
  const PYTHON = (...lines: string[]) => ["FROM python:3.12", "WORKDIR /app", "COPY . .", ...lines].join("\n");

  it("packages are beside a copy of the sources where services have no namespaces", async () => {
    preparation.file("package.json", TINY);
    preparation.file("server.js", "");
    const plan = await prepare(NODE("RUN npm ci", 'CMD ["node", "server.js"]'));
    const copy = join(preparation.stateDir, "work/web/src");
    expect(plan.cwd).toBe(copy);
    expect(readdirSync(join(copy, "node_modules"))).toEqual(["tiny"]);
    expect(plan.argv).toEqual([node, "server.js"]);
    expect(plan.env.PATH).toMatch(/^\S+\/deps\/environments\/[0-9a-f]{20}\/node_modules\/\.bin:/);
    expect(plan.notes.join("\n")).toContain("its node_modules must lie beside the sources");
  });

  it("packages are mounted into the project's folder in namespaces, with folders for caches", async () => {
    preparation.host.namespaces = true;
    preparation.file("package.json", TINY);
    preparation.file("server.js", "");
    const plan = await prepare(NODE("RUN npm ci", 'CMD ["node", "server.js"]'));
    expect(plan.cwd).toBe(preparation.folder);
    const modules = join(preparation.folder, "node_modules");
    expect(plan.mounts).toEqual([
      { source: expect.stringMatching(/environments\/[0-9a-f]{20}\/node_modules$/), target: modules, readOnly: true },
      ...[".vite", ".vite-temp", ".cache"].map((name) => ({
        source: join(preparation.stateDir, "run/web/caches", name),
        target: join(modules, name),
        readOnly: false,
      })),
    ]);
    expect(plan.notes).toEqual([]);
  });

  it("packages that a service writes into are its own, and its mount is writable without folders for caches", async () => {
    preparation.host.namespaces = true;
    preparation.file("package.json", JSON.stringify({ dependencies: { prisma: "5" } }));
    const plan = await prepare(NODE("RUN npm ci", 'CMD ["node", "server.js"]'));
    expect(plan.mounts).toMatchObject([{ readOnly: false }]);
  });

  it("two folders with packages have one environment each, and the same folder is installed once", async () => {
    preparation.host.namespaces = true;
    preparation.file("api/package.json", TINY);
    preparation.file("ui/package.json", JSON.stringify({ dependencies: { tiny: "2" } }));
    const plan = await prepare(
      NODE("RUN cd api && npm ci", "RUN cd api && npm ci", "RUN cd ui && npm ci", 'CMD ["node", "api/server.js"]'),
    );
    expect(commands().map(({ argv }) => argv.slice(2, 3))).toEqual([["install"], ["install"]]);
    const targets = (plan.mounts ?? []).flatMap((one) => ("target" in one ? [one.target] : []));
    expect(targets.filter((one) => one.endsWith("node_modules"))).toEqual([
      join(preparation.folder, "api/node_modules"),
      join(preparation.folder, "ui/node_modules"),
    ]);
    expect(readdirSync(join(preparation.stateDir, "deps/uses")).sort()).toEqual(["web@node", "web@node-2"]);
  });

  it("two packages of one workspace are installed once, from its root", async () => {
    preparation.host.namespaces = true;
    preparation.file("package.json", JSON.stringify({ workspaces: ["*"] }));
    preparation.file("api/package.json", TINY);
    preparation.file("ui/package.json", TINY);
    await prepare(NODE("RUN cd api && npm install", "RUN cd ui && npm install", 'CMD ["node", "api/server.js"]'));
    expect(commands()).toHaveLength(1);
  });

  it("a version of the package manager in package.json decides which one is installed", async () => {
    preparation.host.namespaces = true;
    const manifest = { packageManager: "pnpm@9.1.0+sha512.abc", dependencies: { tiny: "1" } };
    preparation.file("package.json", JSON.stringify(manifest));
    const plan = await prepare(NODE("RUN corepack enable pnpm", "RUN pnpm install", 'CMD ["pnpm", "start"]'));
    expect(commands().map(({ argv }) => argv.at(-1))).toEqual(["pnpm@9.1.0", "--no-frozen-lockfile"]);
    expect(plan.argv).toEqual([commands()[1]?.argv[0], "start"]);
    expect(plan.argv[0]).toMatch(/node_modules\/\.bin\/pnpm$/);
  });

  it("Yarn keeps its state and its cache beside the sources that it cannot change", async () => {
    preparation.host.namespaces = true;
    preparation.program("yarn");
    preparation.file("package.json", TINY);
    const { env } = await prepare(NODE("RUN yarn", 'CMD ["yarn", "start"]'));
    const tmp = join(preparation.stateDir, "run/web/tmp");
    expect(env).toMatchObject({
      YARN_INSTALL_STATE_PATH: join(tmp, "yarn-install-state.gz"),
      YARN_CACHE_FOLDER: join(tmp, "yarn-cache"),
    });
  });

  it("build commands run in a copy of the sources, with the paths of this machine", async () => {
    preparation.file("package.json", "{}");
    const plan = await prepare(
      NODE(
        "ENV OUT=/app/dist MODE=production",
        "RUN npm run build -- --out-dir /app/dist",
        'CMD ["node", "/app/dist/x.js"]',
      ),
    );
    const copy = join(preparation.stateDir, "work/web/src");
    const [build] = commands();
    expect(build?.argv).toEqual(["/bin/sh", "-c", `npm run build -- --out-dir ${copy}/dist`]);
    expect(build?.cwd).toBe(copy);
    expect(build?.env).toMatchObject({ OUT: `${copy}/dist`, MODE: "production", CI: "1" });
    expect(plan.argv).toEqual([node, `${copy}/dist/x.js`]);
    expect(preparation.phases).toContain("building");
    expect(plan.notes.join("\n")).toContain(
      "line 5 of its Dockerfile builds files beside the sources (npm run build -- --out-dir /app/dist)",
    );
  });

  it("a start uses the packages and the build of its preparation", async () => {
    preparation.host.namespaces = true;
    preparation.file("package.json", TINY);
    const one = await translated(NODE("RUN npm ci", "RUN npm run build", 'CMD ["node", "dist/x.js"]'));
    const installed = await installApp(await context(one));
    const ran = preparation.host.specs.length;
    const copy = join(preparation.stateDir, "work/web/src");
    writeFileSync(join(copy, "built.js"), "");
    const plan = await prepareApp(await context(one), installed);
    expect(preparation.host.specs.slice(ran).filter((spec) => !isQuestion(spec))).toEqual([]);
    expect(plan.cwd).toBe(copy);
    expect(readdirSync(copy)).toContain("built.js");
  });

  it("a start creates the folders of caches again that its preparation had", async () => {
    preparation.host.namespaces = true;
    preparation.file("package.json", TINY);
    const one = await translated(NODE("RUN npm ci", 'CMD ["node", "server.js"]'));
    const installed = await installApp(await context(one));
    const { mounts } = await prepareApp(await context(one), installed);
    expect(mounts?.map((mount) => "source" in mount && existsSync(mount.source))).toEqual([true, true, true, true]);
  });

  it("a build that fails is named by its line", async () => {
    preparation.file("package.json", "{}");
    preparation.host.answer = (spec) => (spec.argv[0] === "/bin/sh" ? { exitCode: 2, output: "no" } : answer(spec));
    await expect(prepare(NODE("RUN npm run build", 'CMD ["node", "x"]'))).rejects.toMatchObject({
      code: "DEPENDENCY_INSTALL_FAILED",
      message: 'Dockerfile line 4: npm run build for "web" ended with 2.',
      details: { last_lines: ["no"] },
    });
  });

  it("a compiler that writes to another folder runs in the project's folder", async () => {
    preparation.program("go");
    preparation.file("main.go", "");
    const plan = await prepare(
      [
        "FROM golang:1.22 AS build",
        "WORKDIR /src",
        "COPY . .",
        "RUN CGO_ENABLED=0 go build -o /bin/app .",
        "FROM debian",
        "COPY --from=build /bin/app /bin/app",
        'CMD ["/bin/app", "-v"]',
      ].join("\n"),
    );
    const output = join(preparation.stateDir, "work/web/out/bin/app");
    const [build] = commands();
    expect(build?.cwd).toBe(preparation.folder);
    expect(build?.argv).toEqual(["/bin/sh", "-c", `CGO_ENABLED=0 go build -o ${output} .`]);
    const downloads = join(preparation.stateDir, "deps/downloads/web");
    expect(build?.env).toMatchObject({ GOPATH: join(downloads, "go"), GOCACHE: join(downloads, "go-build") });
    expect(plan.argv).toEqual([output, "-v"]);
    expect(plan.cwd).toBe(preparation.folder);
  });

  it("Python packages are in one environment for all installations of the service", async () => {
    preparation.program("python3");
    preparation.file("requirements.txt", "flask\n");
    preparation.file("main.py", "");
    const plan = await prepare(
      PYTHON(
        "RUN pip install -r requirements.txt",
        "RUN pip install --find-links /w gunicorn",
        'CMD ["python", "main.py"]',
      ),
    );
    const venv = plan.env.VIRTUAL_ENV ?? "";
    expect(venv).toMatch(/deps\/environments\/[0-9a-f]{20}$/);
    expect(plan.env.PATH).toMatch(new RegExp(`^${venv}/bin:`));
    expect(plan.env).not.toHaveProperty("PYTHONPATH");
    const options = "--no-input --disable-pip-version-check --progress-bar off".split(" ");
    const pip = [join(venv, "bin/python"), "-m", "pip", "install", ...options];
    expect(
      commands()
        .map(({ argv }) => argv)
        .slice(1),
    ).toEqual([
      // Only packages of another call can conflict with those of this one.
      [...pip, "--no-warn-conflicts", "-r", join(preparation.folder, "requirements.txt")],
      [...pip, "--find-links", "/w", "gunicorn"],
    ]);
  });

  it("a project that is installed as a package is imported from its sources, before the folders of its variable", async () => {
    preparation.program("python3");
    preparation.file("pyproject.toml", "[project]\nname = 'x'\n[project.scripts]\nserve = 'x:run'\n");
    preparation.file("src/x.py", "");
    const plan = await prepare(
      PYTHON("ENV PYTHONPATH=/opt/more", "RUN pip install -e '.[dev, test]'", 'CMD ["python", "-m", "x"]'),
    );
    const { folder } = preparation;
    expect(plan.env.PYTHONPATH).toBe(`${join(folder, "src")}:${folder}:/opt/more`);
    const tmp = join(preparation.stateDir, "run/web/tmp");
    const [, read, install, programs] = commands().map(({ argv }) => argv);
    expect(read?.slice(3)).toEqual([
      join(preparation.folder, "pyproject.toml"),
      join(tmp, "dependencies.txt"),
      ...["dev", "test"],
    ]);
    expect(install?.slice(-2)).toEqual(["-r", join(tmp, "dependencies.txt")]);
    expect(programs?.at(-1)).toBe(join(tmp, "pyproject.toml"));
  });

  it.each([
    ["\n", 0],
    ["httpx\n", 1],
  ])("pip runs for a project that is installed as a package only when it has dependencies: %j", async (list, runs) => {
    preparation.program("python3");
    preparation.file("pyproject.toml", "[project]\nname = 'x'\n");
    preparation.file("x.py", "");
    const { answer } = preparation.host;
    preparation.host.answer = (spec) => {
      const path = spec.argv.find((word) => word.endsWith("/dependencies.txt"));
      if (path !== undefined && spec.argv.includes("-c")) writeFileSync(path, list);
      return answer(spec);
    };
    await prepare(PYTHON("RUN pip install .", 'CMD ["python", "-m", "x"]'));
    expect(commands().filter(({ argv }) => argv.includes("install") && argv.includes("pip"))).toHaveLength(runs);
  });

  it.each([
    [
      "uv",
      "uv.lock",
      "uv sync --no-dev",
      "sync --frozen --no-install-project --no-install-workspace --no-progress --no-dev",
    ],
    [
      "poetry",
      "poetry.lock",
      "poetry install --no-root --only main",
      "install --no-root --no-interaction --no-ansi --only main",
    ],
    ["pipenv", "Pipfile.lock", "pipenv install --dev", "sync"],
  ])("%s gets the manifest and its lock in a folder without the sources", async (tool, lock, command, words) => {
    preparation.program("python3");
    const program = preparation.program(tool);
    preparation.file(tool === "pipenv" ? "Pipfile" : "pyproject.toml", "");
    preparation.file(lock, "the lock");
    preparation.file("main.py", "");
    const plan = await prepare(PYTHON(`RUN ${command}`, 'CMD ["python", "main.py"]'));
    const spec = commands().at(-1);
    const tmp = join(preparation.stateDir, "run/web/tmp");
    expect(spec?.argv).toEqual([program, ...words.split(" ")]);
    expect(spec?.cwd).toBe(tmp);
    expect(readFileSync(join(tmp, lock), "utf8")).toBe("the lock");
    expect(spec?.env).toMatchObject({
      VIRTUAL_ENV: plan.env.VIRTUAL_ENV,
      UV_PYTHON: join(preparation.bin, "python3"),
      POETRY_VIRTUALENVS_CREATE: "false",
    });
    expect(plan.env.PYTHONPATH).toBe(preparation.folder);
  });

  it("uv and Pipenv may write a lock file where there is none", async () => {
    preparation.program("python3");
    for (const [tool, file, command, words] of [
      ["uv", "pyproject.toml", "uv sync", "sync --no-install-project --no-install-workspace --no-progress"],
      ["pipenv", "Pipfile", "pipenv install", "install"],
    ] as const) {
      const program = preparation.program(tool);
      preparation.file(file, "");
      await prepare(PYTHON(`RUN ${command}`, 'CMD ["python", "main.py"]'));
      expect(commands().at(-1)?.argv).toEqual([program, ...words.split(" ")]);
    }
  });

  it("sources that lead outside of the project are not imported", async () => {
    preparation.program("python3");
    preparation.program("uv");
    preparation.file("pyproject.toml", "");
    symlinkSync("/etc", join(preparation.folder, "src"));
    const { env } = await prepare(PYTHON("RUN uv sync", 'CMD ["python", "main.py"]'));
    expect(env.PYTHONPATH).toBe(preparation.folder);
  });

  it("an installation without its manifest is refused", async () => {
    preparation.program("python3");
    preparation.program("uv");
    const refused = (message: string) => ({ code: "DEPENDENCY_INSTALL_FAILED", message });
    await expect(prepare(PYTHON("RUN uv sync", 'CMD ["python", "x"]'))).rejects.toMatchObject(
      refused("pyproject.toml does not exist."),
    );
    await expect(prepare(PYTHON("RUN pip install -r ../x.txt", 'CMD ["python", "x"]'))).rejects.toMatchObject(
      refused("The requirements file ../x.txt is outside the project's folder."),
    );
    preparation.file("own.txt", "./packages/lib\n");
    preparation.file("packages/lib/pyproject.toml", "");
    await expect(prepare(PYTHON("RUN pip install -r own.txt", 'CMD ["python", "x"]'))).rejects.toMatchObject(
      refused("own.txt installs packages from the project's own folders, which needs a copy of them."),
    );
  });

  it("another version of the language is noted", async () => {
    preparation.file("server.js", "");
    const { notes } = await prepare(NODE('CMD ["node", "server.js"]').replace("node:22", "node:20-alpine"));
    expect(notes).toEqual(["Runs Node.js 22.1.0 instead of node:20-alpine."]);
  });

  it.each([
    ["golang:1.22", "Go", "Install it: apt-get install -y golang-go (macOS: brew install go)"],
    ["oven/bun:1", "Bun", "Install it: npm install -g bun"],
    ["python:3.13", "Python", "Install it: uv python install 3.13"],
  ])(
    "a service of %s is refused without the language, with the command that installs it",
    async (image, name, hint) => {
      await expect(prepare(`FROM ${image}\nWORKDIR /app\nCOPY . .\nCMD ["./run"]`)).rejects.toMatchObject({
        code: "RUNTIME_UNAVAILABLE",
        message: `"web" needs ${name} (${image}), which a service cannot run here.`,
        hint,
        details: { service: "web", image },
      });
    },
  );

  it("a package manager of Node.js in an image of another language uses the machine's Node.js", async () => {
    preparation.host.namespaces = true;
    preparation.program("python3");
    preparation.file("ui/package.json", TINY);
    preparation.file("main.py", "");
    await prepare(PYTHON("RUN cd ui && npm ci", 'CMD ["python", "main.py"]'));
    expect(commands()[0]?.argv.slice(0, 3)).toEqual([node, expect.stringMatching(/npm-cli\.js$/), "install"]);
  });
});
