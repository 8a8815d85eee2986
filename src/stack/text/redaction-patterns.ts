/**
 * Secrets whose value is not known, recognised by the form they are written in. Every pattern takes time linear in the
 * length of the text: no part that repeats without a bound may begin again inside what it has already passed over.
 */
import { ASSIGNED_NAMES, PROSE_NAMES } from "./secret-names.js";

export const REDACTED = "[redacted]";

export interface Pattern {
  /** Cheap test: without it the pattern cannot match. */
  hint: RegExp;
  expression: RegExp;
  /** What stays of a match. */
  replacement: string | ((match: string) => string);
}

/** JSON Web Tokens among parts that dots join: two parts that begin with `eyJ`, and a third. */
function redactTokens(joined: string): string {
  const parts = joined.split(".");
  const kept: string[] = [];
  for (let index = 0; index < parts.length; index += 1) {
    const [header = "", payload = "", signature] = parts.slice(index, index + 3);
    const from = header.search(/(?<!\w)eyJ/);
    if (from < 0 || header.length - from < 11 || signature === undefined || !/^eyJ[\w-]{8}/.test(payload))
      kept.push(header);
    else {
      kept.push(header.slice(0, from) + REDACTED);
      index += 2;
    }
  }
  return kept.join(".");
}

/** Not yet redacted, and not a word that says "there is none". */
const SOME_VALUE = String.raw`(?!\[redacted\])(?!(?:null|none|nil|undefined|true|false|\*+)(?![^\s"',;&}\])]))`;
const VALUE = String.raw`(?:"(?:[^"\\]|\\.)+"|'(?:[^'\\]|\\.)+'|\\"[^"\\]+\\"|[^\s"',;&}\])]+)`;
/** In the order in which they are applied. */
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
      String.raw`((?:${PROSE_NAMES})\\?["']?\s{0,4}(?:=>|[:=])\s{0,4})${SOME_VALUE}${VALUE}`,
      "gi",
    ),
    replacement: `$1${REDACTED}`,
  },
  {
    hint: /pass|pwd|secret|token|key|credential/i,
    expression: new RegExp(
      String.raw`((?:${ASSIGNED_NAMES})(?:\s{0,4}=\s{0,4}|\\?["']\s{0,4}(?:=>|[:=])\s{0,4}))${SOME_VALUE}${VALUE}`,
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
    // All parts that dots join are taken at once: a search that begins inside a part would pass over its rest again.
    hint: /\.eyJ/,
    expression: /(?<![\w-])[\w-]{11,}\.eyJ[\w-]{8,}\.[\w-]+(?:\.[\w-]+)*/g,
    replacement: redactTokens,
  },
];

/** One test that decides whether any pattern is worth trying. */
const ANY_HINT =
  /pass|pwd|secret|token|key|credential|authorization|bearer|:\/\/|akia|asia|agpa|aida|aroa|gh[oprsu]_|github_pat_|xox|eyj|aiza|sk[-_]|glpat-|npm_/i;

/** Replaces what looks like a secret. */
export function redactPatterns(text: string): string {
  if (!ANY_HINT.test(text)) return text;
  let result = text;
  for (const { hint, expression, replacement } of PATTERNS) {
    if (hint.test(result)) result = result.replace(expression, replacement as string);
  }
  return result;
}
