// What `npm test` prints after the tests, from vitest's JSON report: the one closing line that CI reads, and the tests that
// failed and then passed.

/**
 * @param {string} text vitest's JSON report
 * @returns {string} `N passed, N failed, N skipped`; a report that cannot be read counts as one failure.
 * A suite that failed outside its tests (a broken import) counts as a failure as well.
 */
export function summaryLine(text) {
  try {
    const report = JSON.parse(text);
    const brokenSuites = (report.testResults ?? []).filter(
      (suite) => suite.status === "failed" && !(suite.assertionResults ?? []).some((test) => test.status === "failed"),
    ).length;
    const skipped = (report.numPendingTests ?? 0) + (report.numTodoTests ?? 0);
    return `${report.numPassedTests} passed, ${report.numFailedTests + brokenSuites} failed, ${skipped} skipped`;
  } catch {
    return "0 passed, 1 failed, 0 skipped";
  }
}

/** Lines of an error that are printed: its message and where it was thrown. */
const ERROR_LINES = 12;

/**
 * The tests that passed at a repeated attempt, each with the error of its first one. They pass, but the error is the only
 * trace of a race.
 * @param {string} text vitest's JSON report
 * @returns {string[]} one text for each test; empty for a report that cannot be read
 */
export function repeatedTests(text) {
  try {
    const tests = JSON.parse(text).testResults.flatMap((suite) =>
      suite.assertionResults.map((test) => ({ ...test, file: suite.name })),
    );
    return tests
      .filter((test) => test.status === "passed" && test.failureMessages.length > 0)
      .map(({ file, fullName, failureMessages: [error] }) => {
        const lines = error.split("\n").slice(0, ERROR_LINES);
        return [`${file}: ${fullName}`, ...lines.map((line) => `    ${line}`)].join("\n");
      });
  } catch {
    return [];
  }
}
