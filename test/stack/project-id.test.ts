import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { PROJECT_ID, projectIdFrom, SERVICE_NAME } from "../../src/stack/project-id.js";

describe("project ids", () => {
  it.each([
    ["My App", "myapp"],
    ["--rm", "rm"],
    ["__proto__", "proto__"],
    ["été", "t"],
    ["a".repeat(80), "a".repeat(63)],
  ])("derives %j as %j", (folder, id) => expect(projectIdFrom(folder)).toBe(id));

  it("has nothing to derive from a name without letters or digits", () => {
    expect(projectIdFrom("---")).toBeNull();
    expect(projectIdFrom("")).toBeNull();
  });

  it("derives only ids that are valid, and leaves valid ids alone", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), (name) => {
        const id = projectIdFrom(name);
        return id === null || (PROJECT_ID.test(id) && projectIdFrom(id) === id);
      }),
    );
  });

  it.each(["-x", "..", ".env", "a/b", "a\0", "a\n", ""])("refuses the service name %j", (name) =>
    expect(SERVICE_NAME.test(name)).toBe(false),
  );
});
