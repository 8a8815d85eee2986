import { expect, it } from "vitest";
import { isOtherVersion } from "../../../../src/runtimes/local/providers/program-version.js";

it.each([
  ["22", "20.19.0", true],
  ["20-alpine", "20.19.0", false],
  ["20.19", "20.19.0", false],
  ["3.13-slim", "3.11.2", true],
  ["3", "3.11.2", false],
  ["8", "7.0.15", true],
  ["7.2-alpine", "7.0.15", true],
  ["v1", "2.0", true],
  ["latest", "1.0", false],
  ["alpine", "1.0", false],
  [null, "1.0", false],
])("isOtherVersion(%j, %j) returns %j", (tag, version, differs) => {
  expect(isOtherVersion(tag, version)).toBe(differs);
});
