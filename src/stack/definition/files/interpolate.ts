/**
 * Compose's variable interpolation: `$VAR`, `${VAR}`, `${VAR:-default}`, `${VAR:?message}`, `${VAR:+other}`, `$$`. Any
 * other `$` stays unchanged. The rules are those of compose-go's `template` package.
 */

export interface Variable {
  value: string;
  /** Its value must never be shown. */
  secret: boolean;
}

/** Returns undefined for a variable that is not set. */
export type Lookup = (name: string) => Variable | undefined;

export interface Interpolated {
  text: string;
  /** True when the text includes a secret. */
  secret: boolean;
  /** Names used without a default that are not set; Compose substitutes the empty string and warns. */
  unset: string[];
}

/** Invalid interpolation syntax; `message` describes the problem. */
export class InterpolationError extends Error {}

const NAME = /[A-Za-z_][A-Za-z0-9_]*/y;
const OPERATOR = /:?[-?+]/y;
/** Maximum nesting of defaults inside defaults. */
const DEEPEST = 16;

/**
 * Offset of the brace that closes the one at `from`; -1 when inner braces are not balanced. As in Compose, the
 * character after `{` is skipped.
 */
function closingBrace(text: string, from: number, last: number): number {
  let open = 0;
  for (let at = from; at <= last; at += 1) {
    if (text[at] === "}") {
      open -= 1;
      if (open === 0) return at;
    } else if (text[at] === "{") {
      open += 1;
      at += 1;
    }
  }
  return -1;
}

/** @throws InterpolationError for a bad name, an operator that Compose does not have, a missing brace, or a required variable that is not set */
export function interpolate(text: string, lookup: Lookup): Interpolated {
  let secret = false;
  const unset: string[] = [];

  const use = (variable: Variable | undefined): string => {
    if (variable?.secret) secret = true;
    return variable?.value ?? "";
  };

  const plain = (name: string): string => {
    const variable = lookup(name);
    if (variable === undefined) unset.push(name);
    return use(variable);
  };

  const expand = (source: string, depth: number): string => {
    if (depth > DEEPEST) throw new InterpolationError(`variables nest deeper than ${DEEPEST}`);
    const match = (pattern: RegExp, at: number): string | null => {
      pattern.lastIndex = at;
      return pattern.exec(source)?.[0] ?? null;
    };
    let out = "";
    let at = 0;
    let lineEnd = -1;
    while (at < source.length) {
      const dollar = source.indexOf("$", at);
      if (dollar < 0) return out + source.slice(at);
      out += source.slice(at, dollar);
      const next = source[dollar + 1];
      const bare = match(NAME, dollar + 1);
      if (next === "$") {
        out += "$";
        at = dollar + 2;
      } else if (bare !== null) {
        out += plain(bare);
        at = dollar + 1 + bare.length;
      } else if (next !== "{") {
        out += "$";
        at = dollar + 1;
      } else {
        if (lineEnd < dollar) {
          lineEnd = source.indexOf("\n", dollar);
          if (lineEnd < 0) lineEnd = source.length;
        }
        const [value, end] = braced(source, dollar, lineEnd, depth, match);
        out += value;
        at = end;
      }
    }
    return out;
  };

  /** The value of the expression at `dollar`, and the offset after the expression. */
  const braced = (
    source: string,
    dollar: number,
    lineEnd: number,
    depth: number,
    match: (pattern: RegExp, at: number) => string | null,
  ): [string, number] => {
    const name = match(NAME, dollar + 2);
    if (name === null) throw new InterpolationError('"${" must be followed by a variable name');
    const after = dollar + 2 + name.length;
    if (source[after] === "}") return [plain(name), after + 1];
    const operator = match(OPERATOR, after);
    if (operator === null && source[after] === undefined)
      throw new InterpolationError(`"\${${name}" has no closing brace`);
    if (operator === null)
      throw new InterpolationError(`"\${${name}" is followed by something that is not an operator`);
    const last = source.lastIndexOf("}", lineEnd - 1);
    if (last < after + operator.length) throw new InterpolationError('"$" and "{" without the closing "}"');
    const closing = closingBrace(source, dollar + 1, last);
    const end = closing < 0 ? last : closing;
    const rest = source.slice(after + operator.length, end);
    const variable = lookup(name);
    const present = variable !== undefined && (operator.startsWith(":") ? variable.value !== "" : true);
    // Evaluate only the chosen branch: the other one must neither fail nor mark the text as secret.
    switch (operator.at(-1)) {
      case "-":
        return [present ? use(variable) : expand(rest, depth + 1), end + 1];
      case "+":
        return [present ? expand(rest, depth + 1) : "", end + 1];
      default: {
        if (present) return [use(variable), end + 1];
        const message = expand(rest, depth + 1);
        throw new InterpolationError(`the required variable ${name} is not set${message ? `: ${message}` : ""}`);
      }
    }
  };

  const result = expand(text, 0);
  return { text: result, secret, unset };
}
