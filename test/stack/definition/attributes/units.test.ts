import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseBytes, parseDuration, toMegabytes } from "../../../../src/stack/definition/attributes/units.js";

describe("parseDuration", () => {
  it.each([
    ["30s", 30_000],
    ["1m30s", 90_000],
    ["500ms", 500],
    ["1.5s", 1500],
    ["1h", 3_600_000],
    ["2500us", 3],
    ["0", 0],
  ])("the duration %s is %d ms", (text, ms) => expect(parseDuration(text)).toBe(ms));

  it.each(["", "5", "s", "1 s", "-1s", "1d", "1s,", `${"9".repeat(400)}s`])("%j is not a duration", (text) =>
    expect(parseDuration(text)).toBeNull(),
  );

  it("a duration is the sum of its parts (property)", () => {
    fc.assert(
      fc.property(
        fc.nat(1000),
        fc.nat(59),
        fc.nat(59),
        (h, m, s) => parseDuration(`${h}h${m}m${s}s`) === ((h * 60 + m) * 60 + s) * 1000,
      ),
    );
  });
});

describe("parseBytes", () => {
  it.each([
    ["512m", 536_870_912],
    ["1G", 1_073_741_824],
    ["1.5gb", 1_610_612_736],
    ["10b", 10],
    ["2k", 2048],
    [2048, 2048],
  ])("the size %s is %d bytes", (text, bytes) => expect(parseBytes(text)).toBe(bytes));

  it.each(["", "m", "-1m", "1x", "1mm", "1e3", "9".repeat(30), Number.NaN])("%j is not a size", (text) =>
    expect(parseBytes(text)).toBeNull(),
  );

  it("a megabyte is 1,024 × 1,024 bytes, as in Docker", () => expect(toMegabytes(parseBytes("2g") ?? 0)).toBe(2048));
});
