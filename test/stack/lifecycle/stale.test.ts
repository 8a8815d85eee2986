/** Stale code: instances that are older than their sources. */
import { mkdirSync, rmSync, statSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { SharedStackManager } from "../../../src/stack/model.js";
import { call, compose, Domain, service, until } from "../../support/domain.js";
import { FakeRuntime } from "../../support/fake-runtime.js";

let domain: Domain;
let manager: SharedStackManager;
let folder: string;
beforeEach(() => {
  domain = new Domain();
});
afterEach(() => domain.close());

const write = (path: string, text = "new\n"): void => {
  const file = join(folder, path);
  mkdirSync(dirname(file), { recursive: true });
  const asked = Date.now();
  // File times are some milliseconds behind the clock.
  do {
    writeFileSync(file, text);
    // A modification time in the future, as from a wrong clock; the time of the change counts.
    utimesSync(file, asked / 1000 + 60, asked / 1000 + 60);
  } while (statSync(file).ctimeMs < asked);
};

async function up(text: string, files: Record<string, string> = {}, runtime = domain.runtime): Promise<void> {
  folder = domain.project("shop", text);
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), content);
  }
  manager = domain.manager({ runtime: runtime.name }, [runtime]);
  await manager.start({ project: "shop" }, call());
}

const health = async () => (await manager.health({ project: "shop", fresh: true }, call())).services;
const stale = async (name = "app") => (await health())[name]?.stale;
const restart = () => manager.restart({ project: "shop", service: "app" }, call());

describe("changed source files", () => {
  it("a changed file makes its service stale in every report until the service restarts", async () => {
    await up(
      compose(
        service("app").replace("{ command: [run] }", "{ command: [run], working_dir: app }"),
        service("web").replace("{ command: [run] }", "{ command: [run], working_dir: web }"),
      ),
      { "app/main.py": "old\n", "web/index.js": "old\n" },
    );
    expect(await stale()).toBeUndefined();
    write("app/main.py");
    expect(await stale()).toMatchObject({
      reason: "app/main.py changed after the instance started.",
      fix: "restart_service",
      files: ["app/main.py"],
    });
    expect(await stale("web")).toBeUndefined();
    // A diagnosis without a cause names it in the summary; it is a finding beside another problem, or for a named service.
    const diagnosed = (service?: string) => manager.diagnose({ project: "shop", ...(service && { service }) });
    expect(await diagnosed()).toMatchObject({ cause: null, others: [] });
    const named = "app runs code or settings from before its files were edited; restart_service applies the change.";
    expect((await diagnosed()).summary).toBe(`No fault is visible. Every service is healthy. ${named}`);
    expect((await diagnosed("web")).summary).toBe("No fault is visible. web is healthy.");
    expect((await diagnosed("web")).cause).toBeNull();
    const finding = {
      kind: "stale_code",
      service: "app",
      evidence: [{ source: "definition", text: "edited after start: app/main.py" }],
      next: { do: "restart_service applies the change.", operation: "restart_service" },
    };
    expect((await diagnosed("app")).cause).toMatchObject(finding);
    domain.runtime.service("web").request.sink.write("stdout", Buffer.from("ERROR out of stock\n"));
    await until("the error is found", async () => (await diagnosed()).cause !== null);
    expect(await diagnosed()).toMatchObject({ cause: { kind: "logged_errors" }, others: [finding] });
    const [report] = await manager.list();
    expect(report?.services.app?.stale?.files).toEqual(["app/main.py"]);
    await restart();
    expect(await stale()).toBeUndefined();
  });

  it("caches, installed packages, ignored files, databases and outside links do not make a service stale", async () => {
    await up(compose(service("app")), {
      ".gitignore": "build/\n*.gen.ts\n",
      "a.py": "",
      "build/x": "",
      "x.gen.ts": "",
    });
    symlinkSync("/", join(folder, "everything"));
    for (const path of [
      "node_modules/a/index.js",
      ".git/HEAD",
      ".venv/bin/x",
      "__pycache__/a.pyc",
      "app.log",
      "db.sqlite3-wal",
    ])
      write(path);
    write("build/x");
    write("x.gen.ts");
    expect((await stale())?.files ?? ["everything"]).toEqual(["everything"]);
    write("a.py");
    expect((await stale())?.files[0]).toBe("a.py");
  });

  it("a build context counts without what .dockerignore names, and data folders do not count", async () => {
    const docker = new FakeRuntime("docker");
    await up(
      `services:
  app:
    build: ./app
    healthcheck: { test: [CMD, x], interval: 100ms }
  db:
    image: postgres:15
    volumes: ["./data:/var/lib/postgresql/data", "./init.sql:/docker-entrypoint-initdb.d/init.sql:ro"]
    healthcheck: { test: [CMD, x], interval: 100ms }
`,
      {
        "app/Dockerfile": "FROM scratch",
        "app/.dockerignore": "*.md\n",
        "app/main.go": "",
        "init.sql": "",
        "data/x": "",
      },
      docker,
    );
    write("app/README.md");
    write("data/x");
    expect(await stale()).toBeUndefined();
    expect(await stale("db")).toBeUndefined();
    write("app/main.go");
    write("init.sql");
    expect((await stale())?.files).toEqual(["app/main.go"]);
    expect((await stale("db"))?.files).toEqual(["init.sql"]);
  });

  it("only the manifest makes a server stale that reloads its sources", async () => {
    await up(
      compose(
        service("app").replace(
          "{ command: [run] }",
          "{ command: [npm, run, dev], install: { kind: node, manifest: package.json } }",
        ),
      ),
      { "package.json": '{"scripts": {"dev": "vite"}}', "main.ts": "" },
    );
    write("main.ts");
    expect(await stale()).toBeUndefined();
    write("package.json", '{"scripts": {"dev": "vite --host"}}');
    expect((await stale())?.files).toEqual(["package.json"]);
  });

  it("a reloading command of the image and a file server do not become stale", async () => {
    const docker = new FakeRuntime("docker");
    docker.scripts = { app: { command: ["docker-entrypoint.sh", "npm", "run", "dev"] } };
    await up(
      `services:
  app:
    build: ./app
    volumes: ["./app:/app"]
    healthcheck: { test: [CMD, x], interval: 100ms }
  web:
    image: nginx:alpine
    volumes: ["./web:/usr/share/nginx/html:ro", "./web/nginx.conf:/etc/nginx/conf.d/default.conf:ro"]
    healthcheck: { test: [CMD, x], interval: 100ms }
`,
      {
        "app/Dockerfile": "FROM scratch",
        "app/package.json": '{"scripts": {"dev": "node --watch server.js"}}',
        "app/server.js": "",
        "web/index.html": "",
        "web/nginx.conf": "",
      },
      docker,
    );
    write("web/index.html");
    expect(await stale("web")).toBeUndefined();
    write("web/nginx.conf");
    expect((await stale("web"))?.files).toEqual(["web/nginx.conf"]);
    // The bind covers the image's source folder.
    write("app/server.js");
    expect(await stale()).toBeUndefined();
    docker.service("app").end({ exitCode: 1 });
    docker.scripts = { app: { command: ["node", "server.js"] } };
    await until("it ended", async () => (await health()).app?.status === "crashed");
    await restart();
    write("app/server.js");
    expect((await stale())?.files).toEqual(["app/server.js"]);
  });

  it.each([
    ["local", "FLASK_DEBUG=1 with Flask's server", "[flask, run]", undefined],
    ["local", "FLASK_DEBUG=1 with gunicorn, which ignores it", '[gunicorn, "app:app"]', ["app/main.py"]],
    ["local", "FLASK_DEBUG=1 with gunicorn as a module", '[python, -m, gunicorn, "app:app"]', ["app/main.py"]],
    ["docker", "FLASK_DEBUG=1 with a module", "[python3, app.py]", undefined],
  ] as const)("on %s, a service with %s is stale as it reloads", async (name, _what, command, files) => {
    await up(
      `services:
  app:
    build: ./app
    command: ${command}
    environment: { FLASK_DEBUG: "1" }
    volumes: ["./app:/app"]
    healthcheck: { test: [CMD, x], interval: 100ms }
`,
      {
        "app/Dockerfile": "FROM python:3.11-slim\nWORKDIR /app\nCOPY . .\n",
        "app/main.py": "",
        "app/requirements.txt": "",
      },
      new FakeRuntime(name),
    );
    write("app/main.py");
    expect((await stale())?.files).toEqual(files);
    // What is installed comes with a new instance only.
    write("app/requirements.txt");
    expect((await stale())?.files).toContain("app/requirements.txt");
  });

  it("a reloading server that runs on a copy becomes stale", async () => {
    const dagger = new FakeRuntime("dagger");
    await up(
      `services:
  app:
    image: node:20
    working_dir: /app
    command: [npx, vite]
    volumes: [".:/app"]
    healthcheck: { test: [CMD, x], interval: 100ms }
`,
      { "main.ts": "" },
      dagger,
    );
    write("main.ts");
    expect((await stale())?.files).toEqual(["main.ts"]);
  });

  it("restarts after a change do not use up the restart budget", async () => {
    await up(compose(service("app")), { "main.py": "" });
    domain.runtime.scripts = {
      app: { ends: Array.from({ length: 6 }, () => ({ afterMs: 1, exitCode: 1 })), probe: () => "no" },
    };
    for (let turn = 0; turn < 6; turn += 1) {
      write("main.py", `${turn}`);
      await expect(restart()).rejects.toMatchObject({ code: "SERVICE_START_FAILED" });
    }
    domain.runtime.scripts = {};
    expect((await restart()).status).toBe("healthy");
  });

  it("a source folder that became a link does not fail the report", async () => {
    await up(compose(service("app").replace("{ command: [run] }", "{ command: [run], working_dir: app }")), {
      "app/main.py": "",
    });
    rmSync(join(folder, "app"), { recursive: true });
    symlinkSync("/etc", join(folder, "app"));
    expect(await stale()).toBeUndefined();
    rmSync(join(folder, "app"));
    symlinkSync("app", join(folder, "app"));
    expect(await stale()).toBeUndefined();
  });
});

describe("changed definitions", () => {
  const TEXT = compose(service("app", "env_file: app.env"), service("web"));

  it("a service whose definition changed is stale until start_stack", async () => {
    await up(TEXT, { "app.env": "COLOUR=red\n" });
    write("compose.yaml", `${TEXT}# a comment\n`);
    expect(await stale()).toBeUndefined();
    write("app.env", "COLOUR=blue\n");
    expect(await stale()).toMatchObject({
      reason: "app.env (2 files) changed after the start: the service has a new definition.",
      fix: "start_stack",
    });
    expect(await stale("web")).toBeUndefined();
    await manager.start({ project: "shop" }, call());
    expect(await stale()).toBeUndefined();
  });

  it("a restart keeps the mark of a changed definition and names start_stack", async () => {
    await up(TEXT, { "app.env": "COLOUR=red\n" });
    write("app.env", "COLOUR=blue\n");
    const outcome = await restart();
    expect(outcome).toMatchObject({
      status: "healthy",
      message: expect.stringMatching(/is healthy\. It runs with its former definition: app\.env changed .*start_stack/),
      next: { operation: "start_stack", input: { project: "shop" } },
      after: { generation: 2, stale: { fix: "start_stack", files: ["app.env"] } },
    });
    expect(domain.runtime.service("app").request.service.environment.COLOUR).toBe("red");
    await manager.start({ project: "shop" }, call());
    const applied = await restart();
    expect(applied).toMatchObject({ message: expect.stringMatching(/is healthy\.$/), next: null });
    expect(applied.after).not.toHaveProperty("stale");
  });

  it("a start that applies a changed compose file leaves the services that it does not concern", async () => {
    await up(TEXT, { "app.env": "COLOUR=red\n" });
    write("compose.yaml", TEXT.replace("env_file: app.env", "env_file: app.env\n    environment: { SIZE: small }"));
    write("app.env", "COLOUR=blue\n");
    const { after } = await manager.start({ project: "shop" }, call());
    expect(after.services).toMatchObject({ app: { generation: 2 }, web: { generation: 1 } });
    expect(await stale()).toBeUndefined();
    expect(await stale("web")).toBeUndefined();
    write("main.py");
    expect(await stale("web")).toMatchObject({ files: ["main.py"], fix: "restart_service" });
  });

  it("changed configs and secret files are part of a service's definition", async () => {
    const text = `${compose(service("app", "configs: [made]"), service("web", "secrets: [key]"), service("other"))}
configs: { made: { file: made.conf } }
secrets: { key: { file: key.bin } }
`;
    await up(text, { "made.conf": "one\n", "key.bin": "one\n" });
    write("made.conf", "two\n");
    expect(await stale()).toMatchObject({ reason: expect.stringContaining("made.conf"), fix: "start_stack" });
    expect(await stale("web")).toBeUndefined();
    // Not UTF-8.
    writeFileSync(join(folder, "key.bin"), Buffer.from([0xff, 0xfe, 1]));
    write("made.conf", "three\n");
    const generations = async () =>
      Object.values((await manager.report("shop")).services).map(({ generation }) => generation);
    await manager.start({ project: "shop" }, call());
    expect(await generations()).toEqual([2, 2, 1]);
    expect(await stale()).toBeUndefined();
    writeFileSync(join(folder, "key.bin"), Buffer.from([0xff, 0xfe, 2]));
    await manager.start({ project: "shop" }, call());
    expect(await generations()).toEqual([2, 3, 1]);
  });

  it("added and removed services and an unreadable file are notes", async () => {
    await up(TEXT, { "app.env": "" });
    write("compose.yaml", compose(service("app", "env_file: app.env"), service("worker")));
    const notes = async (): Promise<string[]> => {
      await health();
      return (await manager.report("shop")).notes;
    };
    expect(await notes()).toEqual(
      expect.arrayContaining([
        "compose.yaml changed: start_stack would add worker.",
        "compose.yaml changed: start_stack would remove web.",
      ]),
    );
    write("compose.yaml", "services: [");
    expect((await notes()).join()).toContain("cannot be used now; check_stack lists the problems");
  });

  it("a report generates no secret", async () => {
    await up(TEXT, { "app.env": "" });
    write("compose.yaml", `${TEXT}secrets: { fresh: { x-generate: true, environment: FRESH } }\n`);
    await health();
    expect((await manager.report("shop")).notes.join()).not.toContain("cannot be used");
  });
});
