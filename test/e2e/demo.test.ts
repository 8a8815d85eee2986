/**
 * The demo of the README: server, clients and scripts; from `mcp.json` to a machine without its processes and files.
 * The first part runs on this Node.js, and everything on the newest one.
 */
import { execFile } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runDemo } from "./support/demo.js";
import { newestNode, NEWEST_LTS as VERSION } from "./support/newer-node.js";

function expectCommandCenter(stdout: string): void {
  expect(stdout).toContain("The demonstration ended as it should.");
  for (const service of ["postgres", "redis", "backend", "frontend"]) {
    expect(stdout).toMatch(new RegExp(`^ {2}${service} +healthy {2}uid \\d+`, "m"));
    expect(stdout).toMatch(new RegExp(`✓ process \\d+ of ${service} is gone`));
  }
}

describe("the demo", () => {
  let state: string;
  beforeAll(() => {
    state = mkdtempSync(join(tmpdir(), "stackwarden-demo-state-"));
    // Services run as other users and must be able to enter.
    chmodSync(state, 0o711);
  });
  afterAll(() => rmSync(state, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 }));

  /**
   * The second demo finds the dependencies that the first one installed, and PostgreSQL's programs, but no data, also at
   * its second attempt.
   */
  function keepDependencies(): void {
    const keep = (folder: string, kept: string): void => {
      if (!existsSync(folder)) return;
      for (const name of readdirSync(folder)) if (name !== kept) rmSync(join(folder, name), { recursive: true });
    };
    const projects = join(state, "projects");
    for (const name of readdirSync(state))
      if (name !== "cache" && name !== "projects") rmSync(join(state, name), { recursive: true });
    keep(projects, "commandcenter");
    keep(join(projects, "commandcenter"), "deps");
  }

  it("the demo starts, breaks, repairs, limits and stops CommandCenter", { timeout: 400_000 }, async () => {
    await runDemo(process.execPath, state, ["--without-worktrees"], (stdout, temporary) => {
      expectCommandCenter(stdout);
      expect(readdirSync(temporary)).toEqual([]);
    });
  });

  it(`on Node.js ${VERSION} the demo starts, breaks, repairs, limits and stops CommandCenter, then works in two work trees`, {
    timeout: 600_000,
  }, async () => {
    keepDependencies();
    const binary = await newestNode();
    expect((await promisify(execFile)(binary, ["--version"])).stdout.trim()).toBe(`v${VERSION}`);
    await runDemo(binary, state, [], (stdout, temporary) => {
      expectCommandCenter(stdout);
      for (const shown of [
        "the feature's stack has the three seeded items",
        "list_stacks names the commands that the compose file declares",
        "the other stack still has its items",
        "the snapshot's items are back",
        "migrated, and the tests pass",
        "stale: app.py changed after the instance started.",
        "healthy with the new code, and no longer stale",
        "the traceback names the cause",
        "the stack of the removed work tree is marked",
        "no data, snapshot, dependency or record of them is left",
      ])
        expect(stdout).toContain(`✓ ${shown}`);
      expect(readdirSync(temporary)).toEqual([]);
    });
  });
});
