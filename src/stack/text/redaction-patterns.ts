/**
 * Redacts secrets with unknown values by their format. Every pattern takes time linear in the length of the text: an
 * unbounded repetition must not be able to restart inside text that it has already scanned.
 */
import { ASSIGNED_NAMES, PROSE_NAMES } from "./secret-names.js";

export const REDACTED = "[redacted]";

export interface Pattern {
  /** A cheap test; the pattern can match only when the test does. */
  hint: RegExp;
  expression: RegExp;
  /** Replacement of a match. */
  replacement: string | ((match: string) => string);
}

/** JSON Web Tokens among parts that dots join: two parts that begin with `eyJ`, and a third. */
function redactTokens(joined: string): string {
  const parts = joined.split(".");
  const redacted: string[] = [];
  for (let index = 0; index < parts.length; index += 1) {
    const [header = "", payload = "", signature] = parts.slice(index, index + 3);
    const from = header.search(/(?<!\w)eyJ/);
    if (from < 0 || header.length - from < 11 || signature === undefined || !/^eyJ[\w-]{8}/.test(payload))
      redacted.push(header);
    else {
      redacted.push(header.slice(0, from) + REDACTED);
      index += 2;
    }
  }
  return redacted.join(".");
}

/** Code that reads a variable: `os.environ["SECRET"]`, `process.env.SECRET`, `ENV.fetch("SECRET")`, `os.Getenv("SECRET")`. */
const READS_VARIABLE = String.raw`(?:os\.environ(?:\.get\(|\[)|os\.(?:getenv|Getenv|LookupEnv)\(|process\.env[.[]|import\.meta\.env\.|ENV(?:\.fetch\(|\[)|System\.getenv\(|getenv\()`;
/** A value that is not redacted yet, does not read a variable, and is not a word such as `null` or `none`. */
const SOME_VALUE = String.raw`(?!\[redacted\])(?!${READS_VARIABLE})(?!(?:null|none|nil|undefined|true|false|\*+)(?![^\s"',;&}\])]))`;
const VALUE = String.raw`(?:"(?:[^"\\]|\\.)+"|'(?:[^'\\]|\\.)+'|\\"[^"\\]+\\"|[^\s"',;&}\])]+)`;
/** `PWD=/app` and `OLDPWD=/`, as `env` prints them. */
const WORKING_DIRECTORY = String.raw`(?<=^|[\s"'\x60]|[\s"'\x60]OLD|^OLD)PWD=/`;
/** `/etc/passwd` and `/usr/bin/passwd` are paths. */
const NOT_A_PATH = "(?<!/(?:etc|bin|sbin)/)";
const AFTER_QUOTED_NAME = String.raw`\\?["']\s{0,4}(?:=>|[:=])\s{0,4}`;
/**
 * The beginning of a quoted name. Without it, `'id; pwd': Exit code 0` is the end of a command. It takes up to 128 steps,
 * so that it must follow a test for a name.
 */
const AFTER_QUOTE = String.raw`(?<=["'][\w.-]{0,64})`;
/** Patterns in order of application. */
export const PATTERNS: readonly Pattern[] = [
  {
    hint: /PRIVATE KEY-----/,
    expression: /-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY-----|$)/g,
    replacement: REDACTED,
  },
  {
    hint: /authorization|bearer/i,
    expression:
      /((?:proxy-)?authorization\\?["']?\s{0,4}[:=]\s{0,4}\\?["']?(?:(?:bearer|basic|token|digest|negotiate|apikey)\s{1,4})?|\bbearer\s{1,4}(?=[\w.~+/=-]{16}))(?!(?:\w{1,9}\s{1,4})?\[redacted\])[^\s"',;\\]+/gi,
    replacement: `$1${REDACTED}`,
  },
  {
    hint: /:\/\//,
    expression: /(:\/\/[^\s:@/?#"'<>]{0,256}:)(?!\[redacted\]@)[^\s/?#"'<>]+@/g,
    replacement: `$1${REDACTED}@`,
  },
  {
    hint: /pass|key|secret|token/i,
    expression: new RegExp(
      String.raw`${NOT_A_PATH}((?:${PROSE_NAMES})\\?["']?\s{0,4}(?:=>|:=|=|:(?!=))\s{0,4})${SOME_VALUE}${VALUE}`,
      "gi",
    ),
    replacement: `$1${REDACTED}`,
  },
  {
    hint: /pass|pwd|secret|token|key|credential/i,
    expression: new RegExp(
      String.raw`(?!${WORKING_DIRECTORY})((?:${ASSIGNED_NAMES})(?:\s{0,4}=\s{0,4}|${AFTER_QUOTED_NAME}(?=\\?["']))|(?=${ASSIGNED_NAMES})${AFTER_QUOTE}(?:${ASSIGNED_NAMES})${AFTER_QUOTED_NAME})${SOME_VALUE}${VALUE}`,
      "gi",
    ),
    replacement: `$1${REDACTED}`,
  },
  {
    hint: /A[KSGIR][IPDO]A|gh[oprsu]_|github_pat_|xox[abeoprs]-|AIza|sk-|sk_live|glpat-|npm_/,
    expression:
      /\b(?:(?:AKIA|ASIA|AGPA|AIDA|AROA)[0-9A-Z]{16}\b|gh[oprsu]_[A-Za-z0-9]{30,}|github_pat_\w{30,}|xox[abeoprs]-[\w-]{10,}|AIza[\w-]{35}|sk-[\w-]{20,}|sk_live_\w{16,}|glpat-[\w-]{16,}|npm_[A-Za-z0-9]{36})/g,
    replacement: REDACTED,
  },
  {
    // Match all parts joined by dots at once: a search that restarts inside a part would scan the rest again.
    hint: /\.eyJ/,
    expression: /(?<![\w-])[\w-]{11,}\.eyJ[\w-]{8,}\.[\w-]+(?:\.[\w-]+)*/g,
    replacement: redactTokens,
  },
];

/** One test that decides whether any pattern can match. */
const ANY_HINT =
  /pass|pwd|secret|token|key|credential|authorization|bearer|:\/\/|akia|asia|agpa|aida|aroa|gh[oprsu]_|github_pat_|xox|eyj|aiza|sk[-_]|glpat-|npm_/i;

/** Replaces text that has the format of a secret. */
export function redactPatterns(text: string): string {
  if (!ANY_HINT.test(text)) return text;
  let result = text;
  for (const { hint, expression, replacement } of PATTERNS) {
    if (hint.test(result)) result = result.replace(expression, replacement as string);
  }
  return result;
}
