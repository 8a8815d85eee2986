// `npm test`: everything that must hold, from a clean clone. All steps run even when an early one fails; one failure fails the whole.
// Arguments are handed to vitest (`npm test -- test/config`).
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { root, run, say, tool } from "./lib/run.mjs";
import { repeatedTests, summaryLine } from "./lib/summary.mjs";

const node = (...args) => run(process.execPath, args);
if (!node(join(root, "scripts", "setup.mjs"), "--tests")) process.exit(1);

const folder = mkdtempSync(join(tmpdir(), "stackwarden-test-report-"));
const report = join(folder, "report.json");
const steps = [
  ["build", () => node(join(root, "scripts", "build.mjs"))],
  ["lint", () => node(tool("@biomejs", "biome", "bin", "biome"), "check", ".")],
  ["typecheck", () => node(tool("typescript-7", "bin", "tsc"), "--noEmit")],
  [
    "typecheck of the dashboard",
    () => node(tool("typescript-7", "bin", "tsc"), "--noEmit", "-p", "src/dashboard/client"),
  ],
  [
    "tests",
    () =>
      node(
        tool("vitest", "vitest.mjs"),
        "run",
        "--reporter=default",
        "--reporter=json",
        `--outputFile.json=${report}`,
        ...process.argv.slice(2),
      ),
  ],
];
const failed = [];
for (const [name, step] of steps) {
  say(`\n== ${name}`);
  if (!step()) failed.push(name);
}

let text = "";
try {
  text = readFileSync(report, "utf8");
} catch {
  say("vitest left no report");
}
rmSync(folder, { recursive: true, force: true });
const repeated = repeatedTests(text);
if (repeated.length > 0) say(`\npassed at a repeated attempt, with the error of the first:\n${repeated.join("\n")}`);
const line = summaryLine(text);
if (process.env.STACKWARDEN_TEST_SUMMARY) writeFileSync(process.env.STACKWARDEN_TEST_SUMMARY, `${line}\n`);
if (failed.length > 0) say(`\nfailed: ${failed.join(", ")}`);
else if (!process.env.STACKWARDEN_TEST_SUMMARY) process.stdout.write(`${line}\n`);
if (failed.length > 0 || / [1-9]\d* failed/.test(line) || line.startsWith("0 passed")) process.exitCode = 1;
