// The one closing line that CI reads.

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
