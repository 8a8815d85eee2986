/** The first part of the README's demo on this Node.js; demo.test.ts runs all of it on the newest one. */
import { readdirSync } from "node:fs";
import { expect, it } from "vitest";
import { runDemo } from "./support/demo.js";

it("the demo starts, breaks, repairs, limits and stops CommandCenter", { timeout: 400_000 }, async () => {
  await runDemo(
    process.execPath,
    (stdout, temporary) => {
      expect(stdout).toContain("The demonstration ended as it should.");
      for (const service of ["postgres", "redis", "backend", "frontend"]) {
        expect(stdout).toMatch(new RegExp(`^ {2}${service} +healthy {2}uid \\d+`, "m"));
        expect(stdout).toMatch(new RegExp(`✓ process \\d+ of ${service} is gone`));
      }
      expect(readdirSync(temporary)).toEqual([]);
    },
    ["--without-worktrees"],
  );
});
