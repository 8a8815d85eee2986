/**
 * Links and special files that a repository or a service puts where the server reads, copies, chowns or removes files.
 * Races are in test/runtimes/local/files/races.test.ts and test/system/open-beneath-races.test.ts.
 */
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Server, TestBench } from "../e2e/support/bench.js";
import { exchangingAll } from "../support/exchange.js";
import { isRoot } from "./support/processes.js";

const SECRET = "only-root-reads-this-0815";
/** Before, a named pipe as the file of a secret blocked the server until it was killed. */
const SOON_MS = 30_000;

describe.skipIf(!isRoot)("files of a project and a server that runs as root", () => {
  let bench: TestBench;
  let server: Server;
  let secret: string;
  /** Requests to the registry of npm's packages. */
  const asked: string[] = [];
  const registry = createServer((request, response) => {
    asked.push(request.url ?? "");
    response.writeHead(404).end("{}");
  });

  beforeAll(async () => {
    bench = new TestBench("standalone");
    secret = join(bench.folder, "secret");
    writeFileSync(secret, `${SECRET}\n`, { mode: 0o600 });
    await bench.withPostgres();
    await new Promise<void>((resolve) => registry.listen(0, "127.0.0.1", resolve));
    const { port } = registry.address() as AddressInfo;
    server = await bench.server({ npm_config_registry: `http://127.0.0.1:${port}/` });
  });
  afterAll(async () => {
    registry.close();
    await bench.close();
  });

  const pipe = (path: string): void => {
    mkdirSync(dirname(path), { recursive: true });
    execFileSync("mkfifo", ["-m", "666", path]);
  };
  const refused = async (project: string): Promise<string> => {
    const begun = Date.now();
    const error = await server.refused("start_stack", { project, folder: project });
    expect(Date.now() - begun).toBeLessThan(SOON_MS);
    const text = JSON.stringify(error);
    expect(text).not.toContain(SECRET);
    return text;
  };
  const userOf = async (project: string): Promise<{ uid: number }> => {
    const { stacks } = await server.call("list_stacks");
    return stacks.find((one: { project: string }) => one.project === project).services.app.user;
  };
  const IDLE = (more = "") =>
    `services:\n  app:\n    image: node:20\n    x-local:\n      command: [sleep, "1000"]\n${more}`;
  const compose = (install: string) =>
    `services:\n  web:\n    image: node:20\n    x-local:\n      command: [node, app.js]\n      ${install}\n`;
  const NODE = "install: { kind: node, manifest: package.json }";
  const PYTHON = "install: { kind: python, manifest: requirements.txt }";
  const DEPENDS = '{"dependencies": {"x": "file:/nonexistent.tgz"}}';
  const DATABASE =
    "services:\n  db:\n    image: postgres:15\n    environment: { POSTGRES_PASSWORD: secret-password }\n    volumes: [data:/var/lib/postgresql/data]\nvolumes: { data: {} }\n";

  it.each([
    ["compose.yaml", {}],
    [".env", { "compose.yaml": compose("environment: {}") }],
    ["secret.txt", { "compose.yaml": `${compose("environment: {}")}secrets: { s: { file: secret.txt } }\n` }],
    ["package.json", { "compose.yaml": compose(NODE) }],
    [".npmrc", { "compose.yaml": compose(NODE), "package.json": DEPENDS }],
    ["package-lock.json", { "compose.yaml": compose(NODE), "package.json": DEPENDS }],
    ["requirements.txt", { "compose.yaml": compose(PYTHON) }],
  ])("a start is refused at once when %s is a named pipe or a link to a foreign file", async (name, files) => {
    const project = `hostile-${name.replace(/\W/g, "")}`;
    const folder = bench.project(project, { "app.js": "", ...files });
    pipe(join(folder, name));
    expect(await refused(project)).toMatch(/is a named pipe/);
    rmSync(join(folder, name));
    symlinkSync(secret, join(folder, name));
    expect(await refused(project)).toMatch(/outside the project/);
  });

  // Before, the foreign file was copied into the service's dependency folder.
  it("a link that leads outside through another link is neither read nor copied", async () => {
    const project = "links";
    const folder = bench.project(project, {
      "compose.yaml": compose(NODE),
      "app.js": "",
      "package.json": DEPENDS,
      "deep/er/file": "",
    });
    // Compared as text, the target deep/er/up/../../secret is deep/secret, inside the project.
    symlinkSync("../..", join(folder, "deep/er/up"));
    symlinkSync("deep/er/up/../../secret", join(folder, ".npmrc"));
    symlinkSync("deep/er/up/../../secret", join(folder, "out"));
    expect(await refused(project)).toMatch(/\.npmrc leads outside the project/);
    rmSync(join(folder, ".npmrc"));
    writeFileSync(join(folder, "compose.yaml"), IDLE());
    chmodSync(folder, 0o700);
    await server.call("start_stack", { project, folder: project });
    const copy = join(bench.state, "projects", project, "work/app/src");
    expect(readdirSync(copy).sort()).toEqual(["app.js", "compose.yaml", "deep", "package.json"]);
    expect(readdirSync(join(copy, "deep/er")).sort()).toEqual(["file", "up"]);
  });

  // Before, the file's first line was in the error's message.
  it("PG_VERSION is not read when it is a link or a named pipe", async () => {
    const project = "version";
    bench.project(project, { "compose.yaml": DATABASE });
    const data = join(bench.state, "projects", project, "volumes/data/pgdata");
    mkdirSync(data, { recursive: true });
    symlinkSync(secret, join(data, "PG_VERSION"));
    expect(await refused(project)).toMatch(/has no valid PG_VERSION/);
    rmSync(join(data, "PG_VERSION"));
    pipe(join(data, "PG_VERSION"));
    expect(await refused(project)).toMatch(/has no valid PG_VERSION/);
    rmSync(data, { recursive: true });
    symlinkSync(dirname(secret), data);
    expect(await refused(project)).toMatch(/is not a folder/);
  });

  // Before, both started, and the second start changed the owner of files that the first put in place of a folder.
  it("a volume of two databases is refused before anything starts", async () => {
    const project = "two";
    bench.project(project, {
      "compose.yaml": DATABASE.replace(
        "volumes: { data: {} }",
        "  two:\n    image: postgres:15\n    environment: { POSTGRES_PASSWORD: secret-password }\n    volumes: [data:/x]\nvolumes: { data: {} }",
      ),
    });
    expect(await refused(project)).toMatch(/services\.two\.volumes.*in which the database db keeps its data/);
    expect(existsSync(join(bench.state, "projects", project, "volumes"))).toBe(false);
  });

  // Before, foreign files were removed in 7 of 10 such rounds.
  it("removing a service's TMPDIR deletes no foreign file when its folders are exchanged with links", async () => {
    const project = "temporary";
    bench.project(project, { "compose.yaml": IDLE() });
    const victim = join(bench.folder, "victim");
    mkdirSync(victim, { recursive: true });
    for (let n = 0; n < 50; n += 1) writeFileSync(join(victim, String(n)), "");
    await server.call("start_stack", { project, folder: project });
    const { uid } = await userOf(project);
    await server.call("stop_stack", { project });
    const tmp = join(bench.state, "projects", project, "run/app/tmp");
    for (let round = 0; round < 4; round += 1) {
      const pairs = Array.from({ length: 20 }, (_, n) => [join(tmp, `folder${n}`), join(tmp, `link${n}`)] as const);
      for (const [folder, link] of pairs) {
        mkdirSync(folder, { recursive: true });
        for (let n = 0; n < 20; n += 1) writeFileSync(join(folder, String(n)), "");
        symlinkSync(victim, link);
        chownSync(folder, uid, uid);
      }
      const end = await exchangingAll(pairs);
      try {
        // The removal gives up when the exchanges are faster than it.
        await server.call("start_stack", { project, folder: project }).catch((error: Error) => {
          expect(error.message).toMatch(/STORAGE_FAILED.*keeps writing into it/);
        });
      } finally {
        await end();
      }
      await server.call("start_stack", { project });
      await server.call("stop_stack", { project });
      rmSync(tmp, { recursive: true, force: true });
    }
    expect(readdirSync(victim)).toHaveLength(50);
  });

  // Before, npm asked the registry for the name.
  it("the name of a workspace's private package reaches no registry", async () => {
    const project = "workspace";
    bench.project(project, {
      "compose.yaml": compose("install: { kind: node, manifest: packages/web/package.json }"),
      "app.js": "",
      "package.json": '{"private": true, "workspaces": ["packages/*"]}',
      "packages/secret/package.json": '{"name": "@acme/secret", "version": "1.0.0", "private": true}',
      "packages/web/package.json": '{"name": "web", "dependencies": {"@acme/secret": "^1.0.0"}}',
    });
    expect(await refused(project)).toContain("uses packages of the project's own folders: @acme/secret");
    expect(asked).toEqual([]);
  });

  it("installed dependencies contain no registry credentials, and their service cannot change them", async () => {
    const project = "installed";
    const folder = bench.project(project, {
      "compose.yaml": IDLE("      install: { kind: node, manifest: package.json }\n"),
      "app.js": "",
      ".npmrc": `//registry.invalid/:_authToken=${SECRET}\n`,
      "tiny/package.json": '{"name": "tiny", "version": "1.0.0"}',
    });
    execFileSync("tar", ["-czf", join(folder, "tiny.tgz"), "-C", folder, "--transform", "s,^tiny,package,", "tiny"]);
    chmodSync(join(folder, "tiny.tgz"), 0o644);
    writeFileSync(
      join(folder, "package.json"),
      JSON.stringify({ dependencies: { tiny: `file:${join(folder, "tiny.tgz")}` } }),
    );
    await server.call("start_stack", { project, folder: project });
    const state = join(bench.state, "projects", project);
    const environments = join(state, "deps/environments");
    const [hash = ""] = readdirSync(environments);
    expect(readdirSync(join(environments, hash)).sort()).toEqual(["node_modules", "package.json"]);
    const { uid } = await userOf(project);
    const modules = join(state, "work/app/src/node_modules");
    expect(readFileSync(join(modules, "tiny/package.json"), "utf8")).toContain('"tiny"');
    const as = { uid, gid: uid, stdio: "pipe" } as const;
    expect(() => execFileSync("/bin/sh", ["-c", `echo > ${modules}/tiny/package.json`], as)).toThrow(
      /Permission denied/,
    );
    execFileSync("/bin/mkdir", [join(modules, ".vite")], as);
  });
});
