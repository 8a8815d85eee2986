/** Secrets that nobody told us about, recognised by the form they are written in. Every pattern is linear. */

export const REDACTED = "[redacted]";

interface Pattern {
  /** Cheap test: without it the pattern cannot match. */
  hint: RegExp;
  expression: RegExp;
  /** What stays of a match. */
  replacement: string;
}

/** Not yet redacted, and not a word that says "there is none". */
const SOME_VALUE = String.raw`(?!\[redacted\])(?!(?:null|none|nil|undefined|true|false|\*+)(?![^\s"',;&}\])]))`;
const VALUE = String.raw`(?:"(?:[^"\\]|\\.)+"|'(?:[^'\\]|\\.)+'|\\"[^"\\]+\\"|[^\s"',;&}\])]+)`;
/** Words after which even `name: value` in prose is a secret. */
const STRONG_NAME =
  "pass(?:word|wd|phrase)|api[_-]?key|secret[_-]?(?:access[_-]?)?key|client[_-]?secret|private[_-]?key|auth[_-]?token|access[_-]?token|refresh[_-]?token";
/** Words that prose uses too; only `name=value` and `"name": value` count. */
const WEAK_NAME = "pass|pwd|secret|token|access[_-]?key|credentials?";

const PATTERNS: readonly Pattern[] = [
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
      String.raw`((?:${STRONG_NAME})\\?["']?\s{0,4}(?:=>|[:=])\s{0,4})${SOME_VALUE}${VALUE}`,
      "gi",
    ),
    replacement: `$1${REDACTED}`,
  },
  {
    hint: /pass|pwd|secret|token|key|credential/i,
    expression: new RegExp(
      String.raw`((?:${WEAK_NAME})(?:\s{0,4}=\s{0,4}|\\?["']\s{0,4}(?:=>|[:=])\s{0,4}))${SOME_VALUE}${VALUE}`,
      "gi",
    ),
    replacement: `$1${REDACTED}`,
  },
  {
    hint: /A[KSGIR][IPDO]A|gh[oprsu]_|github_pat_|xox[abeoprs]-|eyJ|AIza|sk-|sk_live|glpat-|npm_/,
    expression:
      /\b(?:(?:AKIA|ASIA|AGPA|AIDA|AROA)[0-9A-Z]{16}\b|gh[oprsu]_[A-Za-z0-9]{30,}|github_pat_\w{30,}|xox[abeoprs]-[\w-]{10,}|eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]+|AIza[\w-]{35}|sk-[\w-]{20,}|sk_live_\w{16,}|glpat-[\w-]{16,}|npm_[A-Za-z0-9]{36})/g,
    replacement: REDACTED,
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
    if (hint.test(result)) result = result.replace(expression, replacement);
  }
  return result;
}
