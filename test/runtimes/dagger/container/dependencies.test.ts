/** Dependencies of the project's programs, installed in a simulated engine without a network. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createDaggerRuntime } from "../../../../src/runtimes/dagger/dagger-runtime.js";
import type { ServiceDefinition } from "../../../../src/stack/definition/types.js";
import type { StackRuntime } from "../../../../src/stack/runtime.js";
import { type SimEngine, startSimEngine, whyNoContainers } from "../../../support/dagger-sim/engine.js";
import { Bench, IMAGES } from "../../contract/bench.js";
import { remoteHost, SETTINGS } from "../support/parts.js";

const why = whyNoContainers();

describe.skipIf(why !== null)(`dependencies${why === null ? "" : `: skipped, ${why}`}`, () => {
  let sim: SimEngine;
  let runtime: StackRuntime;
  let bench: Bench;

  beforeAll(async () => {
    sim = await startSimEngine();
    runtime = createDaggerRuntime({
      settings: SETTINGS,
      env: {
        ...sim.env,
        npm_config_fetch_retries: "0",
        // Settings of this machine, which an engine cannot use.
        PIP_CERT: "/etc/own.pem",
        PIP_INDEX_URL: "http://127.0.0.1:1/simple",
      },
      warn: () => {},
      parts: { openEngineHost: async () => remoteHost() },
    });
  });
  afterAll(async () => {
    await runtime?.close();
    await sim?.close();
  });
  beforeEach(() => {
    bench = new Bench({
      runtime,
      images: IMAGES,
    });
  });
  afterEach(() => bench?.close());

  const service = (kind: "python" | "node", manifest: string, command: string[]): ServiceDefinition => ({
    ...bench.python("app", ""),
    image: kind === "python" ? "python:3.11-slim" : "node:20-alpine",
    command,
    workingDir: "/app",
    mounts: [{ type: "bind", source: `${bench.folder}/app`, target: "/app", readOnly: false }],
    local: { environment: {}, install: { kind, manifest } },
  });
  const failure = async (app: ServiceDefinition) => {
    const stack = await bench.open([app]);
    return bench.start(stack, app).then(
      () => null,
      (error: unknown) => error,
    );
  };

  describe("installed Python requirements", () => {
    let own: Bench;
    /** What the program printed, by the test that reads it. */
    let printed: { packages: string; environment: string };

    beforeAll(async () => {
      own = new Bench({ runtime, images: IMAGES });
      bench = own;
      const backend = (name: string) =>
        [
          "import zipfile",
          `def wheel(folder, files):`,
          `    info = "${name}-1.0.dist-info/"`,
          `    files = {**files, info + "METADATA": "Metadata-Version: 2.1\\nName: ${name}\\nVersion: 1.0\\n", info + "WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"}`,
          `    files[info + "RECORD"] = "".join(f"{path},,\\n" for path in [*files, info + "RECORD"])`,
          `    name = "${name}-1.0-py3-none-any.whl"`,
          `    with zipfile.ZipFile(f"{folder}/{name}", "w") as archive:`,
          `        for path, text in files.items(): archive.writestr(path, text)`,
          `    return name`,
          `def build_wheel(folder, *_): return wheel(folder, {"${name}.py": open("${name}.py").read()})`,
          `def build_editable(folder, *_):`,
          `    import os`,
          `    return wheel(folder, {"${name}.pth": os.getcwd()})`,
        ].join("\n");
      for (const [name, path] of [
        ["mylib", "app/mylib"],
        ["shared", "libs/shared"],
      ] as const) {
        bench.file(`${path}/${name}.py`, `WHERE = "${path}"\n`);
        bench.file(`${path}/backend.py`, backend(name));
        bench.file(
          `${path}/pyproject.toml`,
          '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n',
        );
      }
      bench.file("app/requirements.txt", "--no-index\n./mylib\n-e ../libs/shared\n-r more/base.txt\n# nothing else\n");
      bench.file("app/more/base.txt", "-c ../pins.txt\n");
      bench.file("app/pins.txt", "");
      bench.file("app/other.txt", "");
      const program = [
        "import os, sys, mylib, shared",
        "print(mylib.WHERE, shared.WHERE)",
        'print(sys.prefix, os.stat(sys.prefix).st_uid, os.environ["VIRTUAL_ENV"], "PIP_CERT" in os.environ, "npm_config_fetch_retries" in os.environ)',
      ].join("\n");
      const app = service("python", "app/requirements.txt", ["python", "-c", `# ${bench.mark}\n${program}`]);
      const { running, sink } = await bench.run(app);
      expect((await running.exited).exitCode, sink.all).toBe(0);
      const [packages = "", environment = ""] = sink.text().trim().split("\n").slice(-2);
      printed = { packages, environment };
    });
    afterAll(() => own?.close());

    it("Python packages of the project in the requirements are installed, also editable ones", () => {
      expect(printed.packages).toBe("app/mylib libs/shared");
    });

    it("Python requirements are installed into a virtual environment of the service's user", () => {
      expect(printed.environment).toBe("/.stackwarden/deps 1000 /.stackwarden/deps False False");
      expect(own.phases).toContain("installing dependencies");
    });
  });

  it("a Python package that cannot be installed fails the start with the installer's last lines", async () => {
    bench.file("app/requirements.txt", "--no-index\nno-such-package-at-all==1\n");
    const app = service("python", "app/requirements.txt", ["python", "-c", "pass"]);
    expect(await failure(app)).toMatchObject({
      code: "DEPENDENCY_INSTALL_FAILED",
      message: expect.stringContaining('pip install for "app"'),
      details: { last_lines: expect.arrayContaining([expect.stringContaining("no-such-package-at-all")]) },
    });
    bench.file("app/requirements.txt", "-r ../../outside.txt\n");
    expect(await failure(app)).toMatchObject({
      code: "DEPENDENCY_INSTALL_FAILED",
      message: expect.stringContaining("outside"),
    });
    expect(await failure(service("python", "app/gone.txt", ["python"]))).toMatchObject({
      code: "DEPENDENCY_INSTALL_FAILED",
      message: "app/gone.txt does not exist.",
    });
    expect(await failure(service("python", "../gone.txt", ["python"]))).toMatchObject({
      code: "DEPENDENCY_INSTALL_FAILED",
    });
  });

  it("node_modules is a link beside the sources, and scripts of the package itself do not run", async () => {
    bench.file(
      "app/package.json",
      JSON.stringify({
        name: "app",
        version: "1.0.0",
        scripts: { postinstall: "exit 9" },
        optionalDependencies: { missing: "http://127.0.0.1:1/missing.tgz" },
      }),
    );
    const program = `const fs = require("fs"); console.log(fs.readlinkSync("node_modules"), fs.existsSync("/.stackwarden/deps/package.json"))`;
    const { running, sink } = await bench.run(
      service("node", "app/package.json", ["node", "-e", `/* ${bench.mark} */ ${program}`]),
    );
    expect((await running.exited).exitCode, sink.all).toBe(0);
    expect(sink.text().trim().split("\n").at(-1)).toBe("/.stackwarden/deps/node_modules true");
    expect(bench.notices).toContainEqual(
      expect.objectContaining({ type: "warning", message: expect.stringContaining("postinstall") }),
    );
  });

  it("npm is retried after a network failure, and a package.json without dependencies installs nothing", async () => {
    const manifest = (more: object) =>
      bench.file("app/package.json", JSON.stringify({ name: "app", version: "1.0.0", ...more }));
    manifest({ dependencies: { missing: "http://127.0.0.1:1/missing.tgz" } });
    const app = service("node", "app/package.json", ["node", "-e", `/* ${bench.mark} */ console.log("ran")`]);
    expect(await failure(app)).toMatchObject({ code: "DEPENDENCY_INSTALL_FAILED" });
    expect(bench.notices).toContainEqual(
      expect.objectContaining({ type: "retrying", message: expect.stringContaining("because of the network") }),
    );
    for (const text of ["{", "[]"]) {
      bench.file("app/package.json", text);
      expect(await failure(app), text).toMatchObject({
        code: "DEPENDENCY_INSTALL_FAILED",
        message: expect.stringMatching(/^app\/package\.json is not/),
      });
    }
    expect(await failure(service("node", "app/gone.json", ["node"]))).toMatchObject({
      code: "DEPENDENCY_INSTALL_FAILED",
    });
    expect(await failure(service("node", "../gone.json", ["node"]))).toMatchObject({
      code: "DEPENDENCY_INSTALL_FAILED",
    });
    manifest({});
    const { running, sink } = await bench.run(app);
    await running.exited;
    expect(sink.text()).toBe("ran\n");
  });
});
