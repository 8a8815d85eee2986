/** The official conformance suite against the production HTTP server: every active scenario, without exceptions. */
import { execFile } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ROOT } from "../e2e/support/bench.js";
import { nodeFrom } from "../e2e/support/newer-node.js";
import { httpFixture } from "../support/http-fixture.js";
import { relayTo } from "../support/relay.js";
import { conformanceServer } from "./fixtures.js";

const SUITE = join(ROOT, "node_modules", "@modelcontextprotocol", "conformance", "dist", "index.js");
/** Number of active scenarios in the pinned version of the suite. */
const ACTIVE = 30;
/** Scenarios that need no fixtures. */
const WITHOUT_FIXTURES = [
  "server-initialize",
  "ping",
  "logging-set-level",
  "tools-list",
  "resources-list",
  "prompts-list",
  "server-sse-multiple-streams",
  "dns-rebinding-protection",
];

interface Check {
  id: string;
  status: string;
  errorMessage?: string;
}

let node: string;
let folder: string;
beforeAll(async () => {
  // The suite requires Node.js 22.
  node = await nodeFrom(22);
  folder = mkdtempSync(join(tmpdir(), "stackwarden-conformance-"));
}, 300_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function run(port: number, ...args: string[]): Promise<{ code: number; output: string; checks: Map<string, Check[]> }> {
  const results = mkdtempSync(join(folder, "results-"));
  return new Promise((resolve) => {
    execFile(
      node,
      [SUITE, "server", "--url", `http://127.0.0.1:${port}/mcp`, "-o", results, ...args],
      { cwd: folder, maxBuffer: 20_000_000 },
      (error, stdout, stderr) => {
        const checks = new Map(
          readdirSync(results).map((name): [string, Check[]] => [
            name.replace(/^server-/, "").replace(/-\d{4}-\d\d-\d\dT[\d-]+Z$/, ""),
            JSON.parse(readFileSync(join(results, name, "checks.json"), "utf8")),
          ]),
        );
        resolve({ code: error === null ? 0 : Number(error.code), output: `${stdout}\n${stderr}`, checks });
      },
    );
  });
}

const failures = (checks: Map<string, Check[]>) =>
  [...checks].flatMap(([scenario, all]) =>
    all
      .filter(({ status }) => status !== "SUCCESS" && status !== "INFO")
      .map(({ id, status, errorMessage }) => ({ scenario, id, status, errorMessage })),
  );

it("all active scenarios of the conformance suite pass with its fixtures", async () => {
  const http = await httpFixture({ mcp: { createServer: conformanceServer } });
  const relay = await relayTo(http.socket);
  try {
    const { code, output, checks } = await run(relay.port, "--suite", "active");
    expect(failures(checks), output).toEqual([]);
    expect(code, output).toBe(0);
    expect([...checks.keys()]).toHaveLength(ACTIVE);
    for (const [scenario, all] of checks) expect(all.length, scenario).toBeGreaterThan(0);
  } finally {
    await relay.close();
    await http.close();
  }
}, 300_000);

describe("the production server", () => {
  // The suite runs once for all scenarios, because its start takes longer than most of them. The scenarios that need
  // fixtures fail.
  let result: Awaited<ReturnType<typeof run>>;
  beforeAll(async () => {
    const http = await httpFixture();
    const relay = await relayTo(http.socket);
    try {
      result = await run(relay.port, "--suite", "active");
    } finally {
      await relay.close();
      await http.close();
    }
  }, 300_000);

  it.each(WITHOUT_FIXTURES)("the scenario %s passes against the production server", (scenario) => {
    const checks = result.checks.get(scenario) ?? [];
    expect(failures(new Map([[scenario, checks]])), result.output).toEqual([]);
    expect(checks.length, result.output).toBeGreaterThan(0);
    // The suite's verdict: the exit code is that of all scenarios.
    expect(result.output).toMatch(new RegExp(`^✓ ${scenario}: [1-9]\\d* passed, 0 failed$`, "m"));
  });
});
