/** Compose's variable interpolation: `$VAR`, `${VAR}`, `${VAR:-default}`, `${VAR:?message}`, `${VAR:+other}`, `$$`. */

export interface Variable {
  value: string;
  /** Its value must never be shown. */
  secret: boolean;
}

/** Undefined: not set. */
export type Lookup = (name: string) => Variable | undefined;

export interface Interpolated {
  text: string;
  /** True when a secret went into the text. */
  secret: boolean;
  /** Names used without a default that are not set; Compose substitutes the empty string and warns. */
  unset: string[];
}

/** The text is wrong; `message` says how. */
export class InterpolationError extends Error {}

const NAME = /[A-Za-z_][A-Za-z0-9_]*/y;
const OPERATOR = /:?[-?+]/y;
/** Defaults may nest; deeper is nobody's real file. */
const DEEPEST = 16;

/** @throws InterpolationError for unbalanced braces, a bad name, or a required variable that is not set */
export function interpolate(text: string, lookup: Lookup): Interpolated {
  let at = 0;
  let secret = false;
  const unset: string[] = [];

  const match = (pattern: RegExp): string | null => {
    pattern.lastIndex = at;
    const found = pattern.exec(text);
    if (found === null) return null;
    at += found[0].length;
    return found[0];
  };
  const use = (variable: Variable | undefined): string => {
    if (variable?.secret) secret = true;
    return variable?.value ?? "";
  };

  /** Reads to the end, or to the brace that closes the expression it is in. `live`: the result is used. */
  const sequence = (depth: number, live: boolean): string => {
    let out = "";
    while (at < text.length) {
      const char = text[at];
      if (char === "}" && depth > 0) return out;
      if (char !== "$") {
        out += char;
        at += 1;
        continue;
      }
      at += 1;
      if (text[at] === "$") {
        out += "$";
        at += 1;
      } else if (text[at] === "{") {
        at += 1;
        out += expression(depth + 1, live);
      } else {
        const name = match(NAME);
        if (name === null) throw new InterpolationError('"$" must be written "$$" when no variable follows');
        const variable = lookup(name);
        if (variable === undefined && live) unset.push(name);
        out += live ? use(variable) : "";
      }
    }
    if (depth > 0) throw new InterpolationError('"$" and "{" without the closing "}"');
    return out;
  };

  const expression = (depth: number, live: boolean): string => {
    if (depth > DEEPEST) throw new InterpolationError(`variables nest deeper than ${DEEPEST}`);
    const name = match(NAME);
    if (name === null) throw new InterpolationError('"${" must be followed by a variable name');
    const operator = match(OPERATOR);
    const variable = lookup(name);
    const given = variable !== undefined && (operator?.startsWith(":") ? variable.value !== "" : true);
    const kind = operator?.at(-1);
    // Only the branch that is taken may fail or leak; the other is read for its end alone.
    const rest = operator === null ? "" : sequence(depth, live && (kind === "+" ? given : !given));
    if (text[at] !== "}") throw new InterpolationError(`"\${${name}" is followed by something that is not an operator`);
    at += 1;
    if (!live) return "";
    switch (kind) {
      case "-":
        return given ? use(variable) : rest;
      case "+":
        return given ? rest : "";
      case "?":
        if (!given) throw new InterpolationError(`the required variable ${name} is not set${rest ? `: ${rest}` : ""}`);
        return use(variable);
      default:
        if (variable === undefined) unset.push(name);
        return use(variable);
    }
  };

  const result = sequence(0, true);
  return { text: result, secret, unset };
}
