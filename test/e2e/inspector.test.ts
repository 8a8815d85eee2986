/** MCP Inspector lists and calls tools, resources and prompts with the configuration of mcp.json. */
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { operations } from "../../src/operations/index.js";
import { endBackground, ROOT, TestBench } from "./support/bench.js";
import { installed } from "./support/package.js";
import { serveOn } from "./support/serving.js";

const VERSION = "2.12.0";
let inspector: Awaited<ReturnType<typeof installed>>;
let folder: string;

beforeAll(async () => {
  inspector = await installed("@modelcontextprotocol/inspector", VERSION);
  folder = mkdtempSync(join(tmpdir(), "stackwarden-inspector-"));
}, 300_000);
afterAll(async () => {
  await endBackground(join(folder, "state"));
  rmSync(folder, { recursive: true, force: true });
});

interface Result {
  code: number;
  stdout: string;
  stderr: string;
}

/** Arguments for the server of mcp.json: the file as it is, with a state directory of the test. */
function configured(): string[] {
  const { mcpServers } = JSON.parse(readFileSync(join(ROOT, "mcp.json"), "utf8"));
  mcpServers.stackwarden.env = {
    STACKWARDEN_STATE_DIR: join(folder, "state"),
    STACKWARDEN_ROOTS: join(ROOT, "examples"),
    STACKWARDEN_SERVER_IDLE_SECONDS: "15",
  };
  const config = join(folder, "mcp.json");
  writeFileSync(config, JSON.stringify({ mcpServers }));
  return ["--config", config, "--server", "stackwarden"];
}

/** Runs a program on Node.js. */
function execute(args: string[], input = ""): Promise<Result> {
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      args,
      { cwd: ROOT, env: { ...process.env, MCP_INSPECTOR_SECRET_STORE: "memory" }, maxBuffer: 10_000_000 },
      (error, stdout, stderr) => resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr }),
    );
    child.stdin?.end(input);
  });
}

/** Runs the command line once for each of these arguments, in one process. */
async function inEachRun(...runs: string[][]): Promise<Result[]> {
  const module = pathToFileURL(inspector("clients", "cli", "build", "index.js")).href;
  const script = join(ROOT, "test", "e2e", "support", "inspector-runs.mjs");
  const { code, stdout, stderr } = await execute([script], JSON.stringify({ module, runs }));
  expect(code, stderr).toBe(0);
  return JSON.parse(stdout);
}

function program(): string {
  const { bin } = JSON.parse(readFileSync(inspector("package.json"), "utf8")) as { bin: Record<string, string> };
  return inspector(bin["mcp-inspector"] ?? Object.values(bin)[0] ?? "");
}

const METHODS = ["resources/list", "resources/templates/list", "prompts/list"];
/** Tools and the exit codes of their calls: the error of a tool is 5. */
const TOOLS: [tool: string, code: number][] = [
  ["health_status", 0],
  ["get_events", 0],
  ["get_logs", 5],
  ["get_stats", 5],
];
const json = ["--format", "json"];

it("the inspector accepts the schemas of all tools", async () => {
  const listed = ["--method", "tools/list", "--strict", ...json];
  const { code, stdout, stderr } = await execute([program(), "--cli", ...configured(), ...listed]);
  expect(stderr).not.toMatch(/schema.*(error|warn)/i);
  expect(code).toBe(0);
  expect(JSON.parse(stdout).result.tools).toHaveLength(operations.length);
});

describe("one process of the inspector's command line", () => {
  const bench = new TestBench();
  let results: Result[];
  let overHttp: Result[];
  const call = (tool: string, ...args: string[]) => ["--method", "tools/call", "--tool-name", tool, ...args, ...json];
  beforeAll(async () => {
    const server = configured();
    const serving = await serveOn(bench);
    try {
      const http = [`${serving.url}/mcp`, "--transport", "http"];
      const token = ["--header", `Authorization: Bearer ${serving.token}`];
      const runs = [
        ...METHODS.map((method) => [...server, "--method", method, ...json]),
        [...server, ...call("list_stacks")],
        ...TOOLS.map(([tool]) => [...server, ...call(tool, "--tool-arg", "project=commandcenter")]),
      ];
      const all = await inEachRun(
        ...runs,
        [...http, ...token, "--method", "tools/list", "--strict", ...json],
        [...http, ...token, ...call("list_stacks")],
        [...http, "--method", "tools/list", "--stored-auth-only"],
      );
      results = all.slice(0, runs.length);
      overHttp = all.slice(runs.length);
    } finally {
      await serving.end();
    }
  });
  afterAll(() => bench.close());

  it.each(METHODS)("the inspector's %s succeeds", (method) => {
    const { code, stdout } = results[METHODS.indexOf(method)] as Result;
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toHaveProperty("result");
  });

  it("the inspector calls tools and receives errors as error results", () => {
    const [listed, ...answers] = results.slice(METHODS.length);
    expect(JSON.parse(listed?.stdout ?? "").result.structuredContent).toEqual({ stacks: [] });
    expect(answers).toHaveLength(TOOLS.length);
    for (const [index, [tool, code]] of TOOLS.entries())
      expect(answers[index]?.code, `${tool}: ${answers[index]?.stdout}`).toBe(code);
  });

  it("the inspector lists and calls over HTTP with the token, and fails without it", () => {
    const [listed, called, refused] = overHttp as [Result, Result, Result];
    expect(listed.code, listed.stderr).toBe(0);
    expect(JSON.parse(listed.stdout).result.tools).toHaveLength(operations.length);
    expect(JSON.parse(called.stdout).result.structuredContent).toEqual({ stacks: [] });
    expect(refused.code).not.toBe(0);
    expect(refused.stdout).not.toContain("start_stack");
  });
});
