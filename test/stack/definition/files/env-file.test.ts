import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { EnvFileError, parseEnvFile } from "../../../../src/stack/definition/files/env-file.js";

const values = (text: string, options: Parameters<typeof parseEnvFile>[1] = {}) =>
  Object.fromEntries([...parseEnvFile(text, options)].map(([name, { value }]) => [name, value]));
const outside = (name: string) => (name === "HOST" ? { value: "db", secret: true } : undefined);

describe("parseEnvFile", () => {
  it.each<[string, string, Record<string, string>]>([
    ["plain values, blank lines and comments", "A=1\n\n# no\n  # no\nB=two words \n", { A: "1", B: "two words" }],
    ["spaces around values, and export", "export A = 1\n  B=2", { A: "1", B: "2" }],
    ["a colon instead of =", "A: 1\nB:2", { A: "1", B: "2" }],
    [
      "values with equal signs and hashes",
      "A=a=b==\nB=x#y\nC=x #y\nD=#z\nE= #z",
      { A: "a=b==", B: "x#y", C: "x", D: "#z", E: "#z" },
    ],
    ["no text after =", "A=\nB=''\nC=\"\"", { A: "", B: "", C: "" }],
    ["double quotes with escapes", 'A="a\\nb\\t\\"c\\" \\\\ \\$B"', { A: 'a\nb\t"c" \\ $B' }],
    ["single-quoted text", "A='a\\n${B} $C # d'", { A: "a\\n${B} $C # d" }],
    ["a comment after a quoted value", "A=\"x\" # note\nB='y' # note", { A: "x", B: "y" }],
    ["values of several lines", "A=\"one\ntwo\"\nB=3\nC='x\n\ny'\n", { A: "one\ntwo", B: "3", C: "x\n\ny" }],
    [
      "variables from lines above and from outside",
      'A=1\nB=${A}2\nC="$B-${HOST}"\nD=${NONE:-x}',
      { A: "1", B: "12", C: "12-db", D: "x" },
    ],
    ["escaped dollars", 'A=a$$b\nB="a$$b"', { A: "a$b", B: "a$b" }],
    ["an escaped quote in its own kind of quotes", "A='it\\'s'\nB=\"a\\\"b\"", { A: "it's", B: 'a"b' }],
    ["an octal escape", 'A="\\0101"', { A: "A" }],
    ["a name that begins with a digit", "1A=2", { "1A": "2" }],
    ["a name that occurs twice", "A=1\nA=2", { A: "2" }],
    ["names without a value", "HOST\nNONE\nA=1", { HOST: "db", A: "1" }],
    ["a byte order mark and CRLF", '\ufeffA=1\r\nB="x\r\ny"\r\n', { A: "1", B: "x\ny" }],
    [
      "the names of prototype properties",
      "__proto__=1\nconstructor=2",
      JSON.parse('{"__proto__":"1","constructor":"2"}'),
    ],
  ])("an env file with %s is read", (_what, text, expected) => {
    expect(values(text, { lookup: outside })).toEqual(expected);
  });

  it("format raw takes the text after = unchanged", () => {
    expect(values("A=\"x\" # ${HOST}\nB= 'y'", { raw: true, lookup: outside })).toEqual({
      A: '"x" # ${HOST}',
      B: " 'y'",
    });
  });

  it("a value that includes a secret is marked as one, and unset variables are reported", () => {
    const unset: string[] = [];
    const read = parseEnvFile("A=postgres://${HOST}\nB=$A/x\nC=${D}", {
      lookup: outside,
      unset: (name) => unset.push(name),
    });
    expect([...read].map(([name, { secret }]) => [name, secret])).toEqual([
      ["A", true],
      ["B", true],
      ["C", false],
    ]);
    expect(unset).toEqual(["D"]);
  });

  it.each([
    ["A=1\nsome words", "line 2 has no `=`"],
    ["A=1\n=2", "line 2 does not begin with a variable's name and `=`"],
    ["A B=2", "line 1 has a space in a variable's name"],
    ['A=1\nB="s3cr3t\nC=3', 'line 2 opens a " that nothing closes'],
    ["A='s3cr3t", "line 1 opens a ' that nothing closes"],
    ['A="x\ny"\nB="s3cr3t" s3cr3t', "line 3 has text behind its closing quote"],
    ["A=${B", 'line 1 cannot be resolved: "${B" has no closing brace'],
    ["A=${B:?say which}", "line 1 cannot be resolved: the required variable B is not set: say which"],
  ])("%j is refused with the line and without quoting values", (text, message) => {
    expect(() => parseEnvFile(text)).toThrow(new EnvFileError(message));
    expect(message).not.toContain("s3cr3t");
  });

  it("any text is read or refused with an EnvFileError (property)", () => {
    const pieces = fc.array(fc.constantFrom("A", "=", '"', "'", "\\", "$", "{", "}", "\n", " ", "#", ":", "é", "\r"));
    fc.assert(
      fc.property(
        fc.oneof(
          pieces.map((list) => list.join("")),
          fc.string(),
        ),
        (text) => {
          try {
            for (const [name] of parseEnvFile(text)) expect(name).toMatch(/^[\p{L}\p{N}_.\-[\]]+$/u);
          } catch (error) {
            expect(error).toBeInstanceOf(EnvFileError);
          }
        },
      ),
    );
  });
});
