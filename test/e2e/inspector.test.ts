/** MCP Inspector lists and calls tools, resources and prompts with the configuration of mcp.json. */
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
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

function inspect(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  // The file as it is, with a state directory of the test.
  const { mcpServers } = JSON.parse(readFileSync(join(ROOT, "mcp.json"), "utf8"));
  mcpServers.stackwarden.env = {
    STACKWARDEN_STATE_DIR: join(folder, "state"),
    STACKWARDEN_ROOTS: join(ROOT, "examples"),
    STACKWARDEN_SERVER_IDLE_SECONDS: "15",
  };
  const config = join(folder, "mcp.json");
  writeFileSync(config, JSON.stringify({ mcpServers }));
  return runInspector(["--config", config, "--server", "stackwarden", ...args]);
}

function runInspector(args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [program(), "--cli", ...args],
      { cwd: ROOT, env: { ...process.env, MCP_INSPECTOR_SECRET_STORE: "memory" }, maxBuffer: 10_000_000 },
      (error, stdout, stderr) => resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr }),
    );
  });
}

function program(): string {
  const { bin } = JSON.parse(readFileSync(inspector("package.json"), "utf8")) as { bin: Record<string, string> };
  return inspector(bin["mcp-inspector"] ?? Object.values(bin)[0] ?? "");
}

it("the inspector accepts the schemas of all tools", async () => {
  const { code, stdout, stderr } = await inspect("--method", "tools/list", "--strict", "--format", "json");
  expect(stderr).not.toMatch(/schema.*(error|warn)/i);
  expect(code).toBe(0);
  expect(JSON.parse(stdout).result.tools).toHaveLength(operations.length);
});

it.each(["resources/list", "resources/templates/list", "prompts/list"])(
  "the inspector's %s succeeds",
  async (method) => {
    const { code, stdout } = await inspect("--method", method, "--format", "json");
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toHaveProperty("result");
  },
);

it("the inspector calls tools and receives errors as error results", async () => {
  const listed = await inspect("--method", "tools/call", "--tool-name", "list_stacks", "--format", "json");
  expect(JSON.parse(listed.stdout).result.structuredContent).toEqual({ stacks: [] });
  for (const [tool, code] of [
    ["health_status", 0],
    ["get_events", 0],
    ["get_logs", 5],
    ["get_stats", 5],
  ] as const) {
    const args = [
      "--method",
      "tools/call",
      "--tool-name",
      tool,
      "--tool-arg",
      "project=commandcenter",
      "--format",
      "json",
    ];
    const answer = await inspect(...args);
    expect(answer.code, `${tool}: ${answer.stdout}`).toBe(code);
  }
});

it("the inspector lists and calls over HTTP with the token, and fails without it", async () => {
  const bench = new TestBench();
  const serving = await serveOn(bench);
  try {
    const over = (...args: string[]) => runInspector([`${serving.url}/mcp`, "--transport", "http", ...args]);
    const token = ["--header", `Authorization: Bearer ${serving.token}`];
    const listed = await over(...token, "--method", "tools/list", "--strict", "--format", "json");
    expect(listed.code, listed.stderr).toBe(0);
    expect(JSON.parse(listed.stdout).result.tools).toHaveLength(operations.length);
    const called = await over(...token, "--method", "tools/call", "--tool-name", "list_stacks", "--format", "json");
    expect(JSON.parse(called.stdout).result.structuredContent).toEqual({ stacks: [] });
    const refused = await over("--method", "tools/list", "--stored-auth-only");
    expect(refused.code).not.toBe(0);
    expect(refused.stdout).not.toContain("start_stack");
  } finally {
    await serving.end();
    await bench.close();
  }
});
