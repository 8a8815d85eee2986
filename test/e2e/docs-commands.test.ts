/**
 * Runs every command of the documentation as it is written, on a real project. ELSEWHERE names the tests of the others.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import type { Command } from "commander";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { EXIT } from "../../src/cli/exit-codes.js";
import { buildProgram } from "../../src/cli/program.js";
import type { CliHost } from "../../src/cli/session.js";
import { Commands } from "../support/commands.js";
import { APP, appCompose, BINARY, ROOT, TestBench, until } from "./support/bench.js";

const DOCS = [
  ...["README.md", "skills/stackwarden/SKILL.md", "SECURITY.md", "CONTRIBUTING.md", "examples/commandcenter/README.md"],
  ...readdirSync(join(ROOT, "docs"))
    .filter((name) => name.endsWith(".md"))
    .map((name) => `docs/${name}`),
];

/** Lines of a document's shell blocks, without comments. */
const linesOf = (file: string): string[] =>
  [...readFileSync(join(ROOT, file), "utf8").matchAll(/^```(?:sh|bash|console)\n([\s\S]*?)^```/gm)].flatMap(
    ([, block = ""]) =>
      block
        .split("\n")
        .map((line) => line.replace(/\s+# .*$/, "").trim())
        .filter((line) => line !== "" && !line.startsWith("#")),
  );

interface Run {
  /** Output of the command, on either stream. */
  shows: RegExp;
  /** Its exit code. Default 0. */
  code?: number;
  /** The command does not end; it runs until the end of the document. */
  goesOn?: true;
}

/** In the documents' order. */
const RUN: Record<string, Record<string, Run>> = {
  "README.md": {
    "stackwarden init": { shows: /compose\.yaml describes the stack/ },
    "stackwarden up": { shows: /backend.*listening on/, goesOn: true },
    "stackwarden ps": { shows: /backend\s+healthy/ },
    "stackwarden health": { shows: /backend\s+healthy/ },
    "stackwarden diagnose": { shows: /no fault is visible|healthy/i },
    "stackwarden logs backend -f --grep error": { shows: /an error, it seems/, goesOn: true },
    // The application logs nothing that counts as an error.
    "stackwarden logs --errors --since 10m": { shows: /^$/ },
    "stackwarden url backend": { shows: /^http:\/\/127\.0\.0\.1:\d+/ },
    "stackwarden restart backend": { shows: /fresh instance/ },
    "stackwarden limits backend --memory 768": { shows: /768/ },
    "stackwarden doctor": { shows: /local/ },
  },
  // On the local runtime; test/e2e/dagger-engine.test.ts does the same on an engine.
  "docs/DAGGER_ARCHITECTURE.md": {
    "stackwarden doctor": { shows: /local/ },
    "stackwarden up --runtime dagger": { shows: /backend.*listening on/, goesOn: true },
    "stackwarden health": { shows: /backend\s+healthy/ },
    "stackwarden limits backend --memory 512": { shows: /512/ },
    "stackwarden restart backend": { shows: /fresh instance/ },
    "stackwarden down": { shows: /stopped/ },
  },
  "docs/OPERATIONS.md": {
    "stackwarden server status": { shows: /The background server is not running/, code: 3 },
    "stackwarden server start": { shows: /process +\d+/ },
    "stackwarden server stop": { shows: /Stopped the background server/ },
    "stackwarden server stop --force": { shows: /The background server was not running/ },
    "stackwarden server logs -f": { shows: /"name":"stackwarden"/, goesOn: true },
    "stackwarden prune --dry-run": { shows: /Nothing to delete/ },
    "stackwarden prune --yes": { shows: /Nothing to delete/ },
  },
  "docs/REST_API.md": {
    "stackwarden serve --port 7717": { shows: /REST/, goesOn: true },
    "TOKEN=$(cat /var/lib/stackwarden/token)": { shows: /^$/ },
    'curl -H "Authorization: Bearer $TOKEN" http://127.0.0.1:7717/api/v1/projects': { shows: /"stacks":\[/ },
    "curl --unix-socket /var/lib/stackwarden/http/http.sock http://localhost/api/v1/projects": { shows: /"stacks":\[/ },
    'curl -X POST -H "Authorization: Bearer $TOKEN" http://127.0.0.1:7717/api/v1/projects/shop/start': {
      shows: /"success":true,.*"status":"healthy"/,
    },
    'curl -H "Authorization: Bearer $TOKEN" "http://127.0.0.1:7717/api/v1/projects/shop/logs/backend?tail=20"': {
      shows: /listening on/,
    },
  },
};

/** Tests of the commands that do not run here, and a text in each that shows it. */
const ELSEWHERE: Record<string, [file: string, holds: string]> = {
  "npm run demo": ["test/e2e/support/demo.ts", "scripts"],
  "npm test": [".ci/run", "npm test"],
  "npm run setup && npm run build": ["scripts/test.mjs", "setup.mjs"],
  "npx @modelcontextprotocol/inspector --cli --config ./mcp.json --server stackwarden --method tools/list --strict": [
    "test/e2e/inspector.test.ts",
    '"tools/list", "--strict"',
  ],
  'npx @modelcontextprotocol/inspector --cli http://127.0.0.1:7717/mcp --transport http --header "Authorization: Bearer $TOKEN" --method tools/list':
    ["test/e2e/inspector.test.ts", '"--transport", "http"'],
  "docker ps -a --filter label=io.github.stackwarden.project": [
    "test/runtimes/docker/containers.test.ts",
    "io.github.stackwarden.project",
  ],
  "stackwarden dashboard": ["test/daemon/dashboard.test.ts", '["dashboard"]'],
};

it("every command of a shell block is run by a test", () => {
  const shown = DOCS.flatMap((file) => linesOf(file).map((line) => ({ file, line })));
  expect(shown.length).toBeGreaterThan(20);
  for (const { file, line } of shown) {
    if (RUN[file]?.[line] !== undefined) continue;
    const [by, holds] = ELSEWHERE[line] ?? [];
    expect(by, `${file}: \`${line}\` is run by no test; add it to RUN or ELSEWHERE here`).toBeDefined();
    expect(existsSync(join(ROOT, by ?? "")) && readFileSync(join(ROOT, by ?? ""), "utf8")).toContain(holds);
  }
  // The commands in RUN are those of the documents.
  for (const [file, lines] of Object.entries(RUN))
    expect(linesOf(file).filter((line) => RUN[file]?.[line] !== undefined)).toEqual(Object.keys(lines));
});

it("every `stackwarden …` in a sentence or table is a command with options that exist", async () => {
  const onlyParse = (command: Command): void => {
    command.configureOutput({ writeErr: () => undefined });
    // A command with subcommands requires one of them.
    if (command.commands.length === 0) command.action(() => undefined);
    for (const one of command.commands) onlyParse(one);
  };
  const program = buildProgram({} as CliHost, { code: EXIT.ok });
  onlyParse(program);
  let parsed = 0;
  for (const file of [...DOCS, "CHANGELOG.md"])
    for (const [, words = ""] of readFileSync(join(ROOT, file), "utf8").matchAll(/`stackwarden ([^`]+)`/g)) {
      const argv = words.replace(/<[^>]+>/g, "7").split(/\s+/);
      const failed = await program.parseAsync(argv, { from: "user" }).then(
        () => null,
        (error: { code: string }) => error.code,
      );
      // A sentence may name a command without its arguments.
      expect([null, "commander.missingArgument"], `${file}: stackwarden ${words}`).toContain(failed);
      parsed += 1;
    }
  expect(parsed).toBeGreaterThan(15);
});

const freePort = async (): Promise<number> => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
};

const NO_CURL = spawnSync("curl", ["--version"]).status !== 0;

/** A command of stackwarden without shell syntax, which therefore needs no shell. */
const PLAIN = /^stackwarden( [\w./:=-]+)+$/;

describe("documents", () => {
  /** One project and one background server for all documents. */
  const bench = new TestBench();
  const commands = new Commands();
  const held: ChildProcess[] = [];
  let folder: string;
  let port: number;

  beforeAll(async () => {
    folder = bench.project("shop", {
      "compose.yaml": appCompose("    mem_limit: 512m\n").replace(/^ {2}app:/m, "  backend:"),
      "app.js": `${APP}\nconsole.error("an error, it seems");`,
    });
    // As `npm link` does.
    const bin = join(bench.folder, "bin");
    mkdirSync(bin);
    writeFileSync(join(bin, "stackwarden"), `#!/bin/sh\nexec "${process.execPath}" "${BINARY}" "$@"\n`);
    chmodSync(join(bin, "stackwarden"), 0o755);
    port = await freePort();
  });
  // After each attempt: the next one starts with nothing that runs.
  afterEach(async () => {
    for (const child of held.splice(0).reverse()) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      child.kill("SIGINT");
      await once(child, "exit");
    }
  });
  afterAll(async () => {
    await commands.close();
    await bench.close();
  });

  it.for(Object.keys(RUN))("the commands of %s print what is expected", async (file, { skip }) => {
    skip(file === "docs/REST_API.md" && NO_CURL, "curl is not installed");
    // It shows the status of a server that is not running.
    if (file === "docs/OPERATIONS.md") await bench.endBackground();
    const variables: string[] = [];
    for (const [line, { shows, code = 0, goesOn }] of Object.entries(RUN[file] ?? {})) {
      const command = line
        .replaceAll("/var/lib/stackwarden", bench.state)
        .replaceAll("7717", String(port))
        .replace("--runtime dagger", "--runtime local");
      if (/^[A-Z]+=/.test(command)) {
        variables.push(command);
        continue;
      }
      const environment = {
        ...bench.environment(),
        // The background server's log must not be empty.
        STACKWARDEN_LOG_LEVEL: "info",
        PATH: `${join(bench.folder, "bin")}:${process.env.PATH}`,
        NO_COLOR: "1",
      };
      if (PLAIN.test(command) && !goesOn) {
        const ran = await commands.run(command.split(" ").slice(1), { cwd: folder, env: environment });
        expect({ line, ended: ran.code, printed: ran.stdout + ran.stderr }).toEqual({
          line,
          ended: code,
          printed: expect.stringMatching(shows),
        });
        continue;
      }
      // With exec, signals reach the command instead of a shell.
      const script = [...variables, goesOn ? `exec ${command}` : command].join("\n");
      const child = spawn("sh", ["-c", script], {
        cwd: folder,
        env: environment,
        stdio: ["ignore", "pipe", "pipe"],
      });
      let printed = "";
      for (const stream of [child.stdout, child.stderr])
        stream.on("data", (chunk) => {
          printed += chunk;
        });
      if (goesOn) {
        held.push(child);
        await until(`${line}: ${shows}`, () => {
          if (child.exitCode !== null) throw new Error(`${line} ended with ${child.exitCode}: ${printed}`);
          return shows.test(printed);
        });
        continue;
      }
      const [ended] = (await once(child, "close")) as [number];
      expect({ line, ended, printed }).toEqual({ line, ended: code, printed: expect.stringMatching(shows) });
    }
  });
});
