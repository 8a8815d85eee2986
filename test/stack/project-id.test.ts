import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { PROJECT_ID, projectIdFrom, SERVICE_NAME } from "../../src/stack/project-id.js";

describe("projectIdFrom and SERVICE_NAME", () => {
  it.each([
    ["My App", "myapp"],
    ["--rm", "rm"],
    ["__proto__", "proto__"],
    ["été", "t"],
    ["a".repeat(80), "a".repeat(63)],
  ])("the folder name %j gives the project id %j", (folder, id) => expect(projectIdFrom(folder)).toBe(id));

  it("a name without letters or digits gives no project id", () => {
    expect(projectIdFrom("---")).toBeNull();
    expect(projectIdFrom("")).toBeNull();
  });

  it("every derived id is valid, and a valid id gives itself", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), (name) => {
        const id = projectIdFrom(name);
        return id === null || (PROJECT_ID.test(id) && projectIdFrom(id) === id);
      }),
    );
  });

  it.each(["-x", "..", ".env", "a/b", "a\0", "a\n", ""])("%j is refused as a service name", (name) =>
    expect(SERVICE_NAME.test(name)).toBe(false),
  );
});
