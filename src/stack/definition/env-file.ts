/**
 * The syntax of `.env` and `env_file`, as Compose reads it: `NAME=value`, `export NAME=value`, comments, values in
 * double quotes (escapes and variables), in single quotes (as they stand) or in none (variables, up to ` #`).
 */
import { readRegularText, UnsafePathError } from "../../system/read-regular-file.js";
import { InterpolationError, interpolate, type Lookup, type Variable } from "./interpolate.js";

const LARGEST_FILE = 1_048_576;
const ENTRY = /^\s*(?:export\s+)?([^\s=:#]+)\s*(?:([=:])[^\S\n]*)?/;
const NAME = /^[A-Za-z_][A-Za-z0-9_.-]*$/;
const ESCAPES: Record<string, string> = { n: "\n", r: "\r", t: "\t", '"': '"', "\\": "\\", $: "$$" };

export interface EnvFileOptions {
  /** Variables that values may use, beside those that stand above them. */
  lookup?: Lookup;
  /** `format: raw`: everything behind `=` is the value. */
  raw?: boolean;
  /** Told of variables that values use and nothing sets; the empty text is used. */
  unset?(name: string): void;
}

/** The file's text is wrong: `message` says in which line and how; nothing of the text is in it. */
export class EnvFileError extends Error {}

/** Where a quoted value ends, from its opening quote on; -1: it does not. */
function closing(text: string, from: number): number {
  const quote = text[from];
  for (let at = from + 1; at < text.length; at += 1) {
    if (text[at] === "\\" && quote === '"') at += 1;
    else if (text[at] === quote) return at;
  }
  return -1;
}

/**
 * Names without `=` get the value that `lookup` has, or are left out.
 * @throws EnvFileError
 */
export function parseEnvFile(text: string, options: EnvFileOptions = {}): Map<string, Variable> {
  const { lookup = () => undefined, raw = false } = options;
  const values = new Map<string, Variable>();
  const known: Lookup = (name) => values.get(name) ?? lookup(name);
  const lines = text.replace(/^\ufeff/, "").replaceAll("\r\n", "\n");
  let line = 1;
  const wrong = (problem: string): EnvFileError => new EnvFileError(`line ${line} ${problem}`);
  const resolve = (written: string): Variable => {
    try {
      const { text: value, secret, unset } = interpolate(written, known);
      for (const name of unset) options.unset?.(name);
      return { value, secret };
    } catch (error) {
      if (error instanceof InterpolationError) throw wrong(`cannot be resolved: ${error.message}`);
      throw error;
    }
  };

  for (let at = 0; at < lines.length; line += 1) {
    const end = lines.indexOf("\n", at) < 0 ? lines.length : lines.indexOf("\n", at);
    const written = lines.slice(at, end);
    const begun = at;
    at = end + 1;
    if (/^\s*(?:#|$)/.test(written)) continue;
    const [head = "", name = "", sign] = ENTRY.exec(written) ?? [];
    if (!NAME.test(name)) throw wrong("does not begin with a variable's name and `=`");
    if (sign === undefined) {
      if (written.slice(head.length).trim() !== "") throw wrong("has no `=`");
      const found = lookup(name);
      if (found !== undefined) values.set(name, found);
      continue;
    }
    const from = begun + head.length;
    const first = lines[from];
    if (raw) values.set(name, { value: written.slice(written.indexOf(sign) + 1), secret: false });
    else if (first === '"' || first === "'") {
      const close = closing(lines, from);
      if (close < 0) throw wrong(`opens a ${first} that nothing closes`);
      const inner = lines.slice(from + 1, close);
      const rest = lines.slice(close + 1).split("\n", 1)[0] as string;
      if (!/^\s*(?:#|$)/.test(rest)) throw wrong("goes on behind its closing quote");
      values.set(
        name,
        first === "'"
          ? { value: inner, secret: false }
          : resolve(inner.replace(/\\(.)/gs, (all, char: string) => ESCAPES[char] ?? all)),
      );
      line += inner.split("\n").length - 1;
      at = close + 1 + rest.length + 1;
    } else {
      const rest = written.slice(written.indexOf(sign) + 1);
      const comment = rest.search(/\s#/);
      values.set(name, resolve((comment < 0 ? rest : rest.slice(0, comment)).trim()));
    }
  }
  return values;
}

/**
 * @param within folder that the file must lie in, links resolved
 * @returns undefined when there is no such file
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
