import { describe, expect, it } from "vitest";
import { ERROR_KINDS, StackwardenError, toStackwardenError } from "../src/errors.js";

describe("the error catalogue", () => {
  it("gives every code a status, a meaning and a party that can fix it", () => {
    for (const [code, kind] of Object.entries(ERROR_KINDS)) {
      expect(code).toMatch(/^[A-Z][A-Z_]+$/);
      expect(kind.status).toBeGreaterThanOrEqual(400);
      expect(kind.meaning).toMatch(/\.$/);
    }
  });

  it("falls back to the code's meaning as hint, and reports what an interface shows", () => {
    const error = new StackwardenError("UNKNOWN_SERVICE", 'No service "db".', { details: { valid: ["postgres"] } });
    expect(error.report()).toEqual({
      code: "UNKNOWN_SERVICE",
      message: 'No service "db".',
      hint: ERROR_KINDS.UNKNOWN_SERVICE.meaning,
      retryable: false,
      details: { valid: ["postgres"] },
    });
  });

  it("shows nothing of a foreign error's text, which may hold paths or secrets", () => {
    const report = toStackwardenError(new Error("connect to postgres://u:hunter2@db")).report();
    expect(report.code).toBe("INTERNAL");
    expect(JSON.stringify(report)).not.toContain("hunter2");
  });

  it("maps an abort to a cancelled operation and keeps its own errors as they are", () => {
    expect(toStackwardenError(new DOMException("x", "AbortError")).code).toBe("OPERATION_CANCELLED");
    const own = new StackwardenError("PORT_IN_USE", "busy");
    expect(toStackwardenError(own)).toBe(own);
  });
});
