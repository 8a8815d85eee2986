import { expect, it } from "vitest";
import { shellWords } from "../../../../src/runtimes/local/providers/shell-words.js";

const words = (text: string) =>
  shellWords(text, {
    environment: { A: "one two", EMPTY: "" },
    file: (path) => (path === "/run/secrets/a" ? "from file" : undefined),
  });

it.each([
  ["", []],
  ["  a  b ", ["a", "b"]],
  ["a 'b c' \"d e\"", ["a", "b c", "d e"]],
  ["a'b'\"c\"", ["abc"]],
  ["'' \"\"", ["", ""]],
  ['a\\ b "c\\"d" "e\\f"', ["a b", 'c"d', "e\\f"]],
  ["--x=$A '$A'", ["--x=one two", "$A"]],
  ["$EMPTY$MISSING", [""]],
  ['"$(cat /run/secrets/a)"', ["from file"]],
])("shellWords(%j) returns %j", (text, expected) => {
  expect(words(text)).toEqual(expected);
});

it("shellWords uses the default of a variable that is unset or empty", () => {
  for (const name of ["MISSING", "EMPTY"]) expect(words(`$\{${name}:-x}`)).toEqual(["x"]);
  expect(words(`$\{A:-x}`)).toEqual(["one two"]);
});

it.each([
  "a | b",
  "a; b",
  "a && b",
  "$(id)",
  "`id`",
  '"`id`"',
  "$(cat /etc/shadow)",
  "a > b",
  "*",
  "'open",
  '"open',
  "a\\",
  "$1",
])("shellWords(%j) returns null because the text needs a shell", (text) => {
  expect(words(text)).toBeNull();
});
