/** The demo of the README, from `mcp.json` to a machine without its processes and files. */
import { readdirSync } from "node:fs";
import { expect, it } from "vitest";
import { runDemo } from "./support/demo.js";

it("the demo starts, breaks, repairs, limits and stops CommandCenter, then works in two work trees", {
  timeout: 600_000,
}, async () => {
  await runDemo(process.execPath, (stdout, temporary) => {
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
