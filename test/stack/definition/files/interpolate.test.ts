import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { InterpolationError, interpolate, type Lookup } from "../../../../src/stack/definition/files/interpolate.js";

const values: Record<string, string> = { A: "a", EMPTY: "", PASS: "s3cret" };
const lookup: Lookup = (name) =>
  Object.hasOwn(values, name) ? { value: values[name] as string, secret: name === "PASS" } : undefined;
const text = (source: string) => interpolate(source, lookup).text;

describe("interpolate", () => {
  it.each([
    ["x $A y", "x a y"],
    ["${A}b", "ab"],
    ["$$A $${A}", "$A ${A}"],
    ["${X:-d}", "d"],
    ["${EMPTY:-d}", "d"],
    ["${EMPTY-d}", ""],
    ["${X-d}", "d"],
    ["${A:-d}", "a"],
    ["${A:+yes}", "yes"],
    ["${EMPTY:+yes}|${EMPTY+yes}|${X+yes}", "|yes|"],
    ["${A:?needed}", "a"],
    ["${EMPTY?needed}", ""],
    ["${X:-${A}-${Y:-z}}", "a-z"],
    ["${POSTGRES_PORT:-}:5432", ":5432"],
    ["{published:backend:8000}", "{published:backend:8000}"],
    ["}", "}"],
    ["100$", "100$"],
    ["$ 5, $5 and ^[a-z]+$", "$ 5, $5 and ^[a-z]+$"],
    ['${X:-{"a": {"b": 1}}}', '{"a": {"b": 1}}'],
    ['${A:-{"a": 1}}', "a"],
    ["${X:-{}}", "{}"],
    ["${X-a:-b}", "a:-b"],
  ])("%s becomes %s", (source, result) => expect(text(source)).toBe(result));

  it.each([
    ["${", /variable name/],
    ["${A", /no closing brace/],
    ["${A:-x", /without the closing/],
    ["${1A}", /variable name/],
    ["${A b}", /not an operator/],
    ["${X:-a\nb}", /without the closing/],
    ["${X:?set X in .env}", /X is not set: set X in \.env/],
    ["${EMPTY:?}", /EMPTY is not set$/],
    ["${X:-".repeat(40) + "}".repeat(40), /nest deeper/],
  ])("%s is refused with the reason", (source, message) => expect(() => text(source)).toThrow(message));

  it("unset lists each use of an unset variable without a default", () => {
    expect(interpolate("$X ${Y} ${Z:-z} ${A}", lookup).unset).toEqual(["X", "Y"]);
  });

  it("only a text that includes a secret is marked as secret", () => {
    expect(interpolate("x:${PASS}@y", lookup)).toMatchObject({ text: "x:s3cret@y", secret: true });
    expect(interpolate("${A:-${PASS}}", lookup)).toMatchObject({ text: "a", secret: false });
    expect(interpolate("${PASS:+set}", lookup)).toMatchObject({ text: "set", secret: false });
  });

  it("a branch that is not taken neither fails nor counts as unset", () => {
    expect(interpolate("${A:-${X:?no}}${A:-$X}", lookup)).toEqual({ text: "aa", secret: false, unset: [] });
  });

  it("text with escaped dollars becomes the original text (property)", () => {
    fc.assert(fc.property(fc.string(), (source) => text(source.replaceAll("$", "$$$$")) === source));
  });

  it("any text gives a result or an InterpolationError (property)", () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom("$", "{", "}", "A", ":", "-", "?", "+", " ")), (parts) => {
        try {
          return typeof text(parts.join("")) === "string";
        } catch (error) {
          return error instanceof InterpolationError;
        }
      }),
    );
  });
});
