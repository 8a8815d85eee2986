import { describe, expect, test } from "vitest";

// Imported by its URL, since a script has no types.
const { repeatedTests, summaryLine } = (await import(
  new URL("../../scripts/lib/summary.mjs", import.meta.url).href
)) as { repeatedTests(text: string): string[]; summaryLine(text: string): string };

const report = (...results: object[]) =>
  JSON.stringify({
    numPassedTests: 2,
    numFailedTests: 0,
    numPendingTests: 1,
    numTodoTests: 0,
    testResults: [{ name: "/clone/test/a.test.ts", status: "passed", assertionResults: results }],
  });
const PASSED = { fullName: "a stack starts", status: "passed", failureMessages: [] };

describe("the closing lines of npm test", () => {
  test("the summary counts a file that failed before its tests as a failure", () => {
    expect(summaryLine(report(PASSED))).toBe("2 passed, 0 failed, 1 skipped");
    const broken = { name: "/clone/test/b.test.ts", status: "failed", assertionResults: [] };
    const text = JSON.stringify({ ...JSON.parse(report(PASSED)), testResults: [broken] });
    expect(summaryLine(text)).toBe("2 passed, 1 failed, 1 skipped");
    expect(summaryLine("")).toBe("0 passed, 1 failed, 0 skipped");
  });

  test("a test that passed at a repeated attempt is listed with its first error, cut to 12 lines", () => {
    const stack = ["AssertionError: expected 1 to be 2", ...Array.from({ length: 40 }, (_, at) => `    at line ${at}`)];
    const repeated = { ...PASSED, fullName: "a stack stops", failureMessages: [stack.join("\n"), "a second error"] };
    const failed = { ...PASSED, status: "failed", failureMessages: ["Error: it failed"] };
    const [text, ...others] = repeatedTests(report(PASSED, repeated, failed));
    expect(others).toEqual([]);
    expect(text?.split("\n").slice(0, 2)).toEqual([
      "/clone/test/a.test.ts: a stack stops",
      "    AssertionError: expected 1 to be 2",
    ]);
    expect(text?.split("\n")).toHaveLength(13);
    expect(repeatedTests(report(PASSED))).toEqual([]);
    expect(repeatedTests("no report")).toEqual([]);
  });
});
