/** README's first command, its last step: the demonstration itself, from `mcp.json` to an empty machine. */
import { execFile } from "node:child_process";
import { readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import { ROOT } from "./support/bench.js";

it("starts, breaks, repairs, limits and stops CommandCenter", { timeout: 300_000 }, async () => {
  const states = () => readdirSync(tmpdir()).filter((name) => name.startsWith("stackwarden-demo-"));
  const before = states();
  const { stdout } = await promisify(execFile)(process.execPath, [join(ROOT, "scripts", "demo.mjs")], {
    env: { ...process.env, NO_COLOR: "1" },
    maxBuffer: 10_000_000,
  });
  expect(stdout).toContain("The demonstration ended as it should.");
  for (const service of ["postgres", "redis", "backend", "frontend"]) {
    expect(stdout).toMatch(new RegExp(`^ {2}${service} +healthy {2}uid \\d+`, "m"));
    expect(stdout).toMatch(new RegExp(`✓ process \\d+ of ${service} is gone`));
  }
  expect(states()).toEqual(before);
});
