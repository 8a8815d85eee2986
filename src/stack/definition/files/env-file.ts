/**
 * The syntax of `.env` and `env_file`, as compose-go reads it: `NAME=value`, `export NAME=value`, comments, values in
 * double quotes (escapes and variables), in single quotes (literal) or without quotes (variables, up to ` #`).
 */
import { readRegularText, UnsafePathError } from "../../../system/read-regular-file.js";
import { InterpolationError, interpolate, type Lookup, type Variable } from "./interpolate.js";

const LARGEST_FILE = 1_048_576;
const EXPORT = /export[ \t\v\f\r]+/y;
const NAME = /[\p{L}\p{N}_.\-[\] \t\v\f\r\u0085\u00a0]*/uy;
const SPACE = /[ \t\v\f\r\u0085\u00a0]*/y;
const ESCAPE = /\\(?:[abcfnrtv$"\\]|0\d{0,3})/g;
const ESCAPES: Record<string, string> = {
  a: "\x07",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
  '"': '"',
  "\\": "\\",
  $: "$$",
};

export interface EnvFileOptions {
  /** Variables that values may use. They override variables set earlier in the file. */
  lookup?: Lookup;
  /** `format: raw`: everything after `=` is the value. */
  raw?: boolean;
  /** Called for each variable that values use but nothing sets. Its value is the empty string. */
  unset?(name: string): void;
}

/** Invalid syntax in an env file. `message` has the line and the problem, and never quotes the file. */
export class EnvFileError extends Error {}

/** Resolves escapes such as `\n`. An octal escape is `\0` and up to three octal digits. */
const withoutEscapes = (text: string): string =>
  text.replace(ESCAPE, (all) => {
    if (!all.startsWith("\\0")) return ESCAPES[all[1] as string] ?? all;
    return /^\\0[0-3]?[0-7]{2}$/.test(all) ? String.fromCharCode(Number.parseInt(all.slice(2), 8)) : all;
  });

/** The quoted text and the offset after its closing quote; null when the quote is not closed. */
function quoted(text: string, from: number): { value: string; end: number } | null {
  const quote = text[from] as string;
  let value = "";
  for (let at = from + 1; at < text.length; at += 1) {
    const char = text[at] as string;
    if (char === quote) return { value, end: at + 1 };
    if (char === "\\" && text[at + 1] === quote) {
      value += quote;
      at += 1;
    } else if (char === "\\" && at + 1 < text.length) {
      value += char + (text[at + 1] as string);
      at += 1;
    } else value += char;
  }
  return null;
}

/**
 * A name without `=` gets its value from `lookup`, or is left out when `lookup` has none.
 * @throws EnvFileError
 */
export function parseEnvFile(text: string, options: EnvFileOptions = {}): Map<string, Variable> {
  const { lookup = () => undefined, raw = false } = options;
  const values = new Map<string, Variable>();
  const variables: Lookup = (name) => lookup(name) ?? values.get(name);
  const source = text.replace(/^\ufeff/, "").replaceAll("\r\n", "\n");
  let at = 0;
  let counted = 0;
  let line = 1;
  const wrong = (problem: string, where: number): EnvFileError => {
    for (; counted < where; counted += 1) if (source[counted] === "\n") line += 1;
    return new EnvFileError(`line ${line} ${problem}`);
  };
  const match = (pattern: RegExp, from: number): RegExpExecArray | null => {
    pattern.lastIndex = from;
    return pattern.exec(source);
  };
  const resolve = (written: string, where: number): Variable => {
    try {
      const { text: value, secret, unset } = interpolate(written, variables);
      for (const name of unset) options.unset?.(name);
      return { value, secret };
    } catch (error) {
      if (error instanceof InterpolationError) throw wrong(`cannot be resolved: ${error.message}`, where);
      throw error;
    }
  };
  const put = (name: string, value: Variable | undefined): void => {
    if (value !== undefined) values.set(name, value);
  };

  while (at < source.length) {
    const begun = at;
    if (/\s/.test(source[at] as string)) {
      at += 1;
      continue;
    }
    const newline = source.indexOf("\n", at);
    const lineEnd = newline < 0 ? source.length : newline;
    if (source[at] === "#") {
      at = lineEnd;
      continue;
    }
    at += match(EXPORT, at)?.[0].length ?? 0;
    const written = match(NAME, at)?.[0] ?? "";
    const name = written.trimEnd();
    const sign = source[at + written.length] ?? "\n";
    const signed = sign === "=" || sign === ":";
    if (name === "" || (!signed && sign !== "\n"))
      throw wrong(
        /[=:]/.test(source.slice(begun, lineEnd)) ? "does not begin with a variable's name and `=`" : "has no `=`",
        begun,
      );
    if (/\s/.test(name)) throw wrong(signed ? "has a space in a variable's name" : "has no `=`", begun);
    at += written.length + (signed ? 1 : 0);
    if (!signed) {
      put(name, lookup(name));
      continue;
    }
    if (raw) {
      put(name, { value: source.slice(at, lineEnd), secret: false });
      at = lineEnd;
      continue;
    }
    at += match(SPACE, at)?.[0].length ?? 0;
    const first = source[at];
    if (first === '"' || first === "'") {
      const inner = quoted(source, at);
      if (inner === null) throw wrong(`opens a ${first} that nothing closes`, at);
      put(name, first === "'" ? { value: inner.value, secret: false } : resolve(withoutEscapes(inner.value), begun));
      at = inner.end;
      if (/^[ \t\v\f\r]*[^\s#]/.test(source.slice(at, Math.min(at + 256, source.length)).split("\n", 1)[0] as string))
        throw wrong("has text behind its closing quote", at);
    } else {
      const rest = source.slice(at, Math.max(at, lineEnd));
      const comment = rest.indexOf(" #");
      put(name, resolve((comment < 0 ? rest : rest.slice(0, comment)).trimEnd(), begun));
      at = Math.max(at, lineEnd);
    }
  }
  return values;
}

/**
 * @param within folder that must contain the file after symbolic links are resolved
 * @returns undefined when the file does not exist
 * @throws EnvFileError
 */
export function readEnvFile(
  path: string,
  within: string,
  options: EnvFileOptions = {},
): Map<string, Variable> | undefined {
  let text: string | undefined;
  try {
    text = readRegularText(path, { within, maxBytes: LARGEST_FILE });
  } catch (error) {
    if (error instanceof UnsafePathError) throw new EnvFileError(`it ${error.problem}`);
    throw error;
  }
  return text === undefined ? undefined : parseEnvFile(text, options);
}
