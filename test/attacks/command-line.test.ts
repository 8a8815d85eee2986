/** A repository whose files and programs are to act through the commands that a person runs in it. */
import { execFile } from "node:child_process";
import { chmodSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, afterEach, beforeEach, expect, it } from "vitest";
import { findProgram } from "../../src/system/find-program.js";
import { BINARY, TestBench } from "../e2e/support/bench.js";
import { Commands } from "../support/commands.js";

const commands = new Commands();
afterAll(() => commands.close());

let bench: TestBench;
beforeEach(() => {
  bench = new TestBench();
});
afterEach(() => bench.close());

const environment = (): Record<string, string> => ({ ...bench.commandEnvironment(), HOME: bench.folder });

async function run(cwd: string, words: string[], env: Record<string, string> = {}) {
  const [program = "", ...args] = words;
  return promisify(execFile)(program, args, { cwd, env: { ...environment(), ...env } }).then(
    ({ stdout, stderr }) => ({ code: 0, stdout, text: stdout + stderr }),
    (error: { code: number; stdout: string; stderr: string }) => ({
      code: error.code,
      stdout: error.stdout,
      text: error.stdout + error.stderr,
    }),
  );
}

const stackwarden = (cwd: string, args: string[], env?: Record<string, string>) =>
  run(cwd, [process.execPath, BINARY, ...args], env);

/** In a process that commands share. */
const shared = async (cwd: string, args: string[]) => {
  const { code, stdout, stderr } = await commands.run(args, { cwd, env: environment() });
  return { code, stdout, text: stdout + stderr };
};

const WORKER = {
  "worker.js": 'require("http").createServer((q, r) => r.end()).listen(process.env.PORT, "127.0.0.1");\n',
};

// Before, `doctor` ran the repository's dagger and `dashboard` its xdg-open, which got the token (1 of 1 run each).
it("programs of packages are not run from a folder below, nor to open the dashboard", async () => {
  const folder = bench.project("shop", { "compose.yaml": "services: {}\n", "sub/empty": "" });
  const marks = join(bench.folder, "marks");
  mkdirSync(marks);
  const bin = join(folder, "node_modules/.bin");
  mkdirSync(bin, { recursive: true });
  for (const name of ["dagger", "docker", "podman", "xdg-open", "open", "x-www-browser", "gio"]) {
    writeFileSync(join(bin, name), `#!/bin/sh\n: > ${marks}/${name}\nexit 0\n`);
    chmodSync(join(bin, name), 0o755);
  }
  // As npx sets it, and without the system's programs that are found first.
  const empty = join(bench.folder, "empty");
  mkdirSync(empty);
  const env = { PATH: `${bin}:${process.env.PATH}`, STACKWARDEN_ROOTS: join(folder, "sub") };
  await stackwarden(join(folder, "sub"), ["doctor"], { ...env, PATH: bin, STACKWARDEN_PROGRAM_DIRS: empty });
  for (const cwd of [folder, join(folder, "sub")]) {
    const { code, stdout } = await stackwarden(cwd, ["dashboard"], { ...env, DISPLAY: ":0" });
    expect(code).toBe(0);
    expect(stdout).toContain("http://127.0.0.1:");
  }
  expect(readdirSync(marks)).toEqual([]);
});

// Before, the shell ran the command in the name (1 of 1 run).
it("the output of `env` runs nothing in a shell, whatever the variables are called", async () => {
  const mark = join(bench.folder, "mark");
  const folder = bench.project("shop", {
    ...WORKER,
    "compose.yaml": [
      "services:",
      "  web:",
      "    image: node:20",
      "    ports: [':3000']",
      "    environment:",
      `      'A;: > ${mark};B': '1'`,
      `      'C$(: > ${mark})': '2'`,
      `      VALUE: "it's $(: > ${mark})"`,
      "    x-local: { command: node worker.js }",
    ].join("\n"),
  });
  expect((await shared(folder, ["up", "-d"])).code).toBe(0);
  const { stdout, text } = await shared(folder, ["env", "web"]);
  expect(text).toContain("a shell cannot have a variable of this name");
  const shell = await run(folder, ["/bin/sh", "-c", 'eval "$1"; printf %s "$VALUE"', "sh", stdout]);
  expect(shell.stdout).toBe(`it's $(: > ${mark})`);
  expect(readdirSync(bench.folder)).not.toContain("mark");
});

const script = await findProgram("script");

// Before, psql read the name as an address and sent the password of the user's .pgpass there.
it.skipIf(script === null)("`connect` gives psql the name of the database as a name only", async () => {
  const database = "host=attacker.invalid dbname=x";
  const folder = bench.project("shop", {
    ...WORKER,
    "compose.yaml": [
      "services:",
      "  db:",
      "    image: example/postgres-like:1",
      "    ports: [':5432']",
      `    environment: { POSTGRES_USER: me, POSTGRES_DB: '${database}' }`,
      "    x-local: { command: node worker.js }",
    ].join("\n"),
  });
  const programs = join(bench.folder, "programs");
  mkdirSync(programs);
  writeFileSync(join(programs, "psql"), '#!/bin/sh\necho "arguments: $*"\necho "database: $PGDATABASE"\n');
  chmodSync(join(programs, "psql"), 0o755);
  expect((await shared(folder, ["up", "-d"])).code).toBe(0);
  const command = `${process.execPath} ${BINARY} connect db`;
  const { stdout } = await run(folder, [script as string, "-qec", command, "/dev/null"], {
    STACKWARDEN_PROGRAM_DIRS: programs,
  });
  expect(stdout).toMatch(/arguments: --host 127\.0\.0\.1 --port \d+ --username me\r?\n/);
  expect(stdout).toContain(`database: ${database}`);
});

// Before, the settings in the linked folder got the server with the repository as its root (3 of 3 clients).
it("`init --client` does not follow a folder of the repository that is a link to the user's settings", async () => {
  const folder = bench.project("shop", { "package.json": '{ "scripts": { "start": "node x.js" } }' });
  const settings = join(bench.folder, "settings");
  mkdirSync(settings);
  const secret = '{ "mcpServers": { "mine": { "env": { "TOKEN": "secret-of-the-user" } } } }\n';
  for (const name of ["mcp.json", "settings.json"]) writeFileSync(join(settings, name), secret);
  for (const name of [".cursor", ".zed", ".codex", ".vscode"]) symlinkSync(settings, join(folder, name));
  for (const more of [[], ["--yes"]])
    for (const client of ["cursor", "zed", "codex", "vscode"]) {
      const { code, text } = await shared(folder, ["init", "--client", client, ...more]);
      expect(text).toContain("its folder is a link");
      expect(text).not.toContain("secret-of-the-user");
      expect(code).not.toBe(0);
    }
  expect(readdirSync(settings).sort()).toEqual(["mcp.json", "settings.json"]);
  for (const name of ["mcp.json", "settings.json"]) expect(readFileSync(join(settings, name), "utf8")).toBe(secret);
});
