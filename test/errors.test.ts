import { describe, expect, it } from "vitest";
import { ERROR_KINDS, StackwardenError, toStackwardenError } from "../src/errors.js";

describe("StackwardenError", () => {
  it("every error code has a status and a meaning", () => {
    for (const [code, kind] of Object.entries(ERROR_KINDS)) {
      expect(code).toMatch(/^[A-Z][A-Z_]+$/);
      expect(kind.status).toBeGreaterThanOrEqual(400);
      expect(kind.meaning).toMatch(/\.$/);
    }
  });

  it("a report without a hint has the code's meaning as the hint", () => {
    const error = new StackwardenError("UNKNOWN_SERVICE", 'No service "db".', { details: { valid: ["postgres"] } });
    expect(error.report()).toEqual({
      code: "UNKNOWN_SERVICE",
      message: 'No service "db".',
      hint: ERROR_KINDS.UNKNOWN_SERVICE.meaning,
      retryable: false,
      details: { valid: ["postgres"] },
    });
  });

  it("a report of another error shows nothing of its text", () => {
    const report = toStackwardenError(new Error("connect to postgres://u:hunter2@db")).report();
    expect(report.code).toBe("INTERNAL");
    expect(JSON.stringify(report)).not.toContain("hunter2");
  });

  it("an abort becomes OPERATION_CANCELLED, and a StackwardenError is returned unchanged", () => {
    expect(toStackwardenError(new DOMException("x", "AbortError")).code).toBe("OPERATION_CANCELLED");
    const own = new StackwardenError("PORT_IN_USE", "busy");
    expect(toStackwardenError(own)).toBe(own);
  });
});
