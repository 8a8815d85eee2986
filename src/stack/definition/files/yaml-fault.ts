/** Describes a syntax error of the YAML library for a person: what is wrong, and how to correct it. */

export interface YamlFault {
  message: string;
  hint: string;
}

/** The library's messages end with the position, which is reported separately. */
const POSITION = / at line \d+, column \d+:?$/;

const KNOWN: readonly (YamlFault & { pattern: RegExp })[] = [
  {
    pattern: /^Tabs are not allowed/,
    message: "a tab indents the line",
    hint: "Indent with spaces: YAML does not accept tabs.",
  },
  {
    pattern: /^Nested mappings are not allowed/,
    message: 'the value contains ": ", which begins another value',
    hint: 'Quote the whole value, as in "echo a: b", or write each nested key on a separate line.',
  },
  {
    pattern: /^All mapping items must start at the same column/,
    message: "the line is indented differently from the keys of the same mapping",
    hint: "Indent it like the lines above that belong together.",
  },
  {
    pattern: /^A block sequence may not be used|^All sequence items must start at the same column/,
    message: "a list item is not where a list can be",
    hint: "Indent the items of a list equally, each with a dash and a space, below the key that they belong to.",
  },
  {
    pattern: /^Unexpected scalar at node end/,
    message: "text follows the end of a value",
    hint: "Quote the whole value, or correct the indentation.",
  },
  {
    pattern: /^Plain value cannot start with/,
    message: "a value without quotes cannot begin with this character",
    hint: "Quote the value.",
  },
  {
    pattern: /^Missing closing/,
    message: "a quote that begins here or above has no end",
    hint: "Add the closing quote.",
  },
  {
    pattern: /^Implicit (?:map )?keys need to be/,
    message: "the line is neither `key: value` nor a list item",
    hint: "Write a colon and a space after the key, or a dash and a space before a list item.",
  },
  {
    pattern: /^Flow (?:map|sequence) in block collection|^Expected flow (?:map|sequence)/,
    message: "a { or [ that begins above has no end",
    hint: "Close it with } or ], and separate the entries with commas.",
  },
];

export const repeatedKey = (key: string): YamlFault => ({
  message: `the key ${JSON.stringify(key.slice(0, 64))} appears twice in the same mapping`,
  hint: "Keep one of the two.",
});

export function yamlFault(written: string): YamlFault {
  const line = (written.split("\n", 1)[0] ?? "").replace(POSITION, "");
  const match = KNOWN.find(({ pattern }) => pattern.test(line));
  return match === undefined
    ? { message: line, hint: "Correct the YAML." }
    : { message: match.message, hint: match.hint };
}
