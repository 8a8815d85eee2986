/** The demo of the README on the newest Node.js: server, clients and scripts; from `mcp.json` to a machine without its processes and files. */
import { execFile } from "node:child_process";
import { readdirSync } from "node:fs";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import { runDemo } from "./support/demo.js";
import { newestNode, NEWEST_LTS as VERSION } from "./support/newer-node.js";

it(`on Node.js ${VERSION} the demo starts, breaks, repairs, limits and stops CommandCenter, then works in two work trees`, {
  timeout: 600_000,
}, async () => {
  const binary = await newestNode();
  expect((await promisify(execFile)(binary, ["--version"])).stdout.trim()).toBe(`v${VERSION}`);
  await runDemo(binary, (stdout, temporary) => {
    expect(stdout).toContain("The demonstration ended as it should.");
    for (const service of ["postgres", "redis", "backend", "frontend"]) {
      expect(stdout).toMatch(new RegExp(`^ {2}${service} +healthy {2}uid \\d+`, "m"));
      expect(stdout).toMatch(new RegExp(`✓ process \\d+ of ${service} is gone`));
    }
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
