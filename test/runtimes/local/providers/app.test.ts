import { chmodSync, existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { appCommand, resolveProgram } from "../../../../src/runtimes/local/providers/app.js";
import type { LocalDefinition, PortMapping, ServiceDefinition } from "../../../../src/stack/definition/types.js";
import { freePort, healthcheck } from "../../contract/bench.js";
import { Fixture, service, untilHealthy } from "../support/fixture.js";
import { tarball } from "../support/install-context.js";

const isRoot = process.getuid?.() === 0;
const ok = healthcheck({ kind: "http", port: 8000, path: "/", status: 200 });

interface Seen {
  env: Record<string, string>;
  cwd: string;
  uid: number;
  dep: string | null;
  secret: string | null;
}

/** Replies with its environment, working directory, uid, dependency and secret. */
const SERVER = `
import http from "node:http";
import { readFileSync } from "node:fs";
const [host, port] = process.argv.slice(2);
let dep = null;
try { dep = (await import("stacktiny")).default; } catch {}
const secret = process.env.TOKEN_FILE ? readFileSync(process.env.TOKEN_FILE, "utf8") : null;
const seen = { env: process.env, cwd: process.cwd(), uid: process.getuid(), dep, secret };
http.createServer((_, response) => response.end(JSON.stringify(seen))).listen(Number(port), host);
`;

describe("an app service on the local runtime", () => {
  let fixture: Fixture;
  let port: number;
  let ports: PortMapping[];
  beforeEach(async () => {
    fixture = new Fixture();
    port = await freePort();
    ports = [{ containerPort: 8000, hostPort: port, protocol: "tcp" }];
    fixture.file("app/server.mjs", SERVER);
  });
  afterEach(() => fixture.close());

  const local = (fields: Partial<LocalDefinition> = {}): LocalDefinition => ({
    command: ["node", "server.mjs", "{host}", "{port}"],
    workingDir: join(fixture.folder, "app"),
    environment: {},
    ...fields,
  });
  const seen = async <T = Seen>() => (await fetch(`http://127.0.0.1:${port}/`)).json() as Promise<T>;
  const run = async (one: ServiceDefinition, secrets: Record<string, string> = {}) => {
    const stack = await fixture.open([one, service("db", { image: "postgres:15" })], secrets);
    const running = await fixture.start(stack, one);
    const health = await untilHealthy(running, ok);
    if (!health.healthy) throw new Error(`${health.message}\n${fixture.log(one.name)}`);
    return { stack, running };
  };

  it("an app runs in the project's folder with a separate user and without the server's environment", async () => {
    process.env.STACKWARDEN_TEST_LEAK = "secret of the server";
    const one = service("web", {
      ports,
      environment: { DATABASE_URL: "postgresql://u:p@db:5432/x", GREETING: "hi" },
      local: local({ environment: { GREETING: "hello" } }),
    });
    const { running } = await run(one);
    delete process.env.STACKWARDEN_TEST_LEAK;
    const { env, cwd, uid } = await seen();
    expect(cwd).toBe(join(fixture.folder, "app"));
    expect(uid).toBe(running.user.uid);
    if (isRoot) expect(uid).toBeGreaterThanOrEqual(70_000);
    expect(env).toMatchObject({ PORT: String(port), HOST: "127.0.0.1", GREETING: "hello", LANG: "C.UTF-8" });
    expect(env.DATABASE_URL).toMatch(/^postgresql:\/\/u:p@127\.0\.0\.1:\d+\/x$/);
    expect(env.STACKWARDEN_TEST_LEAK).toBeUndefined();
    expect(Object.keys(env).sort()).toEqual(
      [
        "DATABASE_URL",
        "GREETING",
        "HOME",
        "HOST",
        "LANG",
        "PATH",
        "PORT",
        "PYTHONDONTWRITEBYTECODE",
        "PYTHONUNBUFFERED",
        "TMPDIR",
        "npm_config_update_notifier",
      ].sort(),
    );
    expect(statSync(env.HOME ?? "").mode & 0o777).toBe(0o700);
    expect(running.notes).toEqual([]);
  });

  it("PORT and PATH of the definition are kept", async () => {
    const { running } = await run(
      service("web", { ports, local: local({ environment: { PORT: "1", PATH: "/opt/x" } }) }),
    );
    const { env } = await seen();
    expect(env.PORT).toBe("1");
    expect(env.PATH).toBe("/opt/x");
    await running.stop({ graceMs: 2000 });
  });

  it.runIf(isRoot)("an app runs on a copy when its user cannot read the folder, with a note", async () => {
    chmodSync(fixture.folder, 0o700);
    const { running } = await run(service("web", { ports, local: local() }));
    expect((await seen()).cwd).toBe(join(fixture.stateDir, "work/web/src/app"));
    expect(running.notes.join()).toContain("Runs on a copy of the project's folder");
  });

  it("node dependencies are installed beside a copy of the sources, and the project stays unchanged", async () => {
    const archive = tarball(dirname(fixture.folder), "stacktiny", "1.0.0");
    chmodSync(archive, 0o644);
    fixture.file("app/package.json", JSON.stringify({ dependencies: { stacktiny: `file:${archive}` } }));
    const before = readdirSync(fixture.folder, { recursive: true });
    const one = service("web", {
      ports,
      local: local({ install: { kind: "node", manifest: "app/package.json" } }),
    });
    const { stack, running } = await run(one);
    const { dep, env } = await seen();
    expect(dep).toBe("1.0.0");
    expect(env.PATH).toMatch(/node_modules\/\.bin:/);
    expect(running.notes.join()).toContain("node_modules must lie beside the sources");
    expect(fixture.phases).toContain("installing dependencies");
    await running.stop({ graceMs: 2000 });
    fixture.phases.splice(0);
    const again = await fixture.start(stack, one);
    expect(await untilHealthy(again, ok)).toMatchObject({ healthy: true });
    expect(fixture.phases).not.toContain("installing dependencies");
    expect(readdirSync(fixture.folder, { recursive: true })).toEqual(before);
  });

  it("a start uses the dependencies that its preparation installed, and providers need none", async () => {
    fixture.file("app/requirements.txt", "# none\n");
    const one = service("web", {
      ports,
      local: local({ install: { kind: "python", manifest: "app/requirements.txt" } }),
    });
    const db = service("db", { image: "postgres:15" });
    const stack = await fixture.open([one, db]);
    await Promise.all([fixture.prepare(stack, one), fixture.prepare(stack, db)]);
    expect(fixture.phases).toEqual(["installing dependencies"]);
    expect(existsSync(join(fixture.stateDir, "run/db"))).toBe(false);
    fixture.phases.splice(0);
    expect(await untilHealthy(await fixture.start(stack, one), ok)).toMatchObject({ healthy: true });
    expect(fixture.phases).toEqual(["starting process"]);
  });

  it("an npm script without dependencies runs in the project's folder", async () => {
    fixture.file("app/package.json", JSON.stringify({ type: "module", scripts: { dev: "exec node server.mjs" } }));
    const { running } = await run(
      service("web", {
        ports,
        local: local({
          command: ["npm", "run", "dev", "--", "{host}", "{port:8000}"],
          install: { kind: "node", manifest: "app/package.json" },
        }),
      }),
    );
    expect((await seen()).cwd).toBe(join(fixture.folder, "app"));
    expect(running.notes).toEqual([]);
    await running.stop({ graceMs: 5000 });
  });

  it("an app with Python requirements runs in a virtual environment", async () => {
    fixture.file("app/requirements.txt", "# none\n");
    fixture.file(
      "app/serve.py",
      "import http.server, json, os, sys\n" +
        "class H(http.server.BaseHTTPRequestHandler):\n" +
        "  def do_GET(self):\n" +
        "    self.send_response(200); self.end_headers()\n" +
        "    self.wfile.write(json.dumps({'prefix': sys.prefix, 'venv': os.environ['VIRTUAL_ENV']}).encode())\n" +
        "http.server.HTTPServer((sys.argv[1], int(sys.argv[2])), H).serve_forever()\n",
    );
    await run(
      service("web", {
        ports,
        local: local({
          command: ["python", "serve.py", "{host}", "{port}"],
          install: { kind: "python", manifest: "app/requirements.txt" },
        }),
      }),
    );
    const { prefix, venv } = await seen<{ prefix: string; venv: string }>();
    expect(prefix).toBe(venv);
    expect(venv).toContain(join(fixture.stateDir, "deps/environments/"));
    expect(readdirSync(join(fixture.folder, "app")).sort()).toEqual(["requirements.txt", "serve.py", "server.mjs"]);
  });

  it("secrets are private files whose paths replace /run/secrets, with a note", async () => {
    const one = service("web", {
      ports,
      environment: { TOKEN_FILE: "/run/secrets/token" },
      secrets: [
        { source: "api", target: "token" },
        { source: "absent", target: "other" },
      ],
      local: local(),
    });
    const { running } = await run(one, { api: "very secret" });
    const { secret, env } = await seen();
    expect(secret).toBe("very secret");
    expect(statSync(env.TOKEN_FILE ?? "").mode & 0o777).toBe(0o600);
    expect(running.notes.join()).toContain("instead of /run/secrets");
    expect(existsSync(join(dirname(env.TOKEN_FILE ?? ""), "other"))).toBe(false);
  });

  it("a container's command is rewritten, and a note names the path of each volume", async () => {
    const one = service("web", {
      ports,
      image: "node:20",
      command: ["node", "server.mjs", "0.0.0.0", "{port}"],
      mounts: [
        { type: "bind", source: fixture.folder, target: "/app", readOnly: false },
        { type: "volume", source: "cache", target: "/cache", readOnly: false },
      ],
      local: { environment: {}, workingDir: join(fixture.folder, "app") },
    });
    const { running } = await run(one);
    expect(running.notes.join("\n")).toContain(`Its command was rewritten: node server.mjs 127.0.0.1 ${port}`);
    const cache = join(fixture.stateDir, "volumes", "cache", "data");
    expect(running.notes.join("\n")).toContain(`The volume cache is ${cache} instead of /cache`);
    expect(statSync(cache).mode & 0o7777).toBe(0o700);
    expect(await running.emptyVolumes).toEqual(["cache"]);
    expect(running.notes.join("\n")).not.toContain("/app is not mounted");
  });

  it.runIf(isRoot)("a shared volume does not stay with a service that does not mount it any more", async () => {
    const one = (name: string, source = "shared") =>
      service(name, {
        mounts: [{ type: "volume", source, target: "/shared", readOnly: false }],
        local: local({ command: ["sleep", "60"] }),
      });
    const volume = join(fixture.stateDir, "volumes", "shared", "data");
    const owner = async (first: ServiceDefinition, ...others: ServiceDefinition[]) => {
      const stack = await fixture.open([first, ...others]);
      const { user } = await fixture.start(stack, first);
      await stack.close();
      const { uid } = statSync(volume);
      return uid === user.uid ? first.name : uid;
    };
    expect(await owner(one("a"))).toBe("a");
    expect(await owner(one("a"), one("b"))).toBe("a");
    expect(await owner(one("b"), one("c"), one("a", "another"))).toBe(0);
  });

  it("a service without a known way to run is refused before any service starts", async () => {
    await expect(fixture.open([service("x", { image: "elasticsearch:8" })])).rejects.toMatchObject({
      code: "UNSUPPORTED",
      message: expect.stringContaining("elasticsearch:8"),
      hint: expect.stringContaining("services.x.x-local.command"),
    });
    expect(() => appCommand(service("x"))).toThrowError(/no image/);
    expect(() =>
      appCommand(service("x", { build: { context: "." } as NonNullable<ServiceDefinition["build"]> })),
    ).toThrowError(/built from the project/);
    expect(() => appCommand(service("x", { local: { environment: {} } }))).toThrowError(/cannot run/);
  });

  it("a missing program fails the start, and the hint names the searched folders", async () => {
    const one = service("web", { ports, local: local({ command: ["no-such-program-xyz"] }) });
    const stack = await fixture.open([one]);
    await expect(fixture.start(stack, one)).rejects.toMatchObject({
      code: "SERVICE_START_FAILED",
      message: 'The program "no-such-program-xyz" was not found.',
      hint: expect.stringContaining("/usr/bin"),
    });
    expect(stack.endpoints()).toHaveLength(1);
  });
});

describe("resolveProgram", () => {
  const fixture = new Fixture();
  const resolve = async (argv: string[], path: string[] = []) =>
    resolveProgram(
      argv,
      "/work",
      { path, env: {} },
      { user: await fixture.host.userFor("test", "a"), host: fixture.host },
    );

  it("a program is looked up in the working directory, in the service's tools, then in the system", async () => {
    const own = fixture.file("bin/tool", "#!/bin/sh\n", 0o755);
    expect(await resolve(["./run", "x"])).toEqual(["/work/run", "x"]);
    expect(await resolve(["/abs/run"])).toEqual(["/abs/run"]);
    expect(await resolve(["tool", "1"], [dirname(own)])).toEqual([own, "1"]);
    expect((await resolve(["sh"]))[0]).toMatch(/\/bin\/sh$/);
    expect((await resolve(["python"]))[0]).toMatch(/python3$/);
    expect((await resolve(["node", "x"]))[1]).toBe("x");
    expect(readFileSync((await resolve(["npx"]))[1] ?? "", "utf8")).toContain("npx");
    await expect(resolve([])).rejects.toMatchObject({ code: "SERVICE_START_FAILED" });
    await fixture.close();
  });
});
