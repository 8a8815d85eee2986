/**
 * The list of names of secrets. It applies to environment variables, text such as `name=value`, the server's log fields
 * and npm settings.
 */

interface SecretName {
  /** Words of the name in lower case. Text may join them with `_` or `-`, or use camel case. */
  words: readonly string[];
  /** `prose`: also `name: value` in a sentence is a secret. `assignment`: only `name=value` and `"name": value`. */
  text?: "prose" | "assignment";
  /** Position of the name in a variable's name. */
  variable?: "anywhere" | "end";
}

const SECRET_NAMES: readonly SecretName[] = [
  { words: ["password"], text: "prose", variable: "anywhere" },
  { words: ["passwd"], text: "prose", variable: "anywhere" },
  { words: ["passphrase"], text: "prose", variable: "anywhere" },
  { words: ["api", "key"], text: "prose", variable: "end" },
  { words: ["secret", "key"], text: "prose" },
  { words: ["secret", "access", "key"], text: "prose" },
  { words: ["client", "secret"], text: "prose" },
  { words: ["private", "key"], text: "prose", variable: "anywhere" },
  { words: ["auth", "token"], text: "prose" },
  { words: ["access", "token"], text: "prose" },
  { words: ["refresh", "token"], text: "prose" },
  { words: ["pass"], text: "assignment", variable: "end" },
  { words: ["pwd"], text: "assignment", variable: "end" },
  { words: ["secret"], text: "assignment", variable: "anywhere" },
  { words: ["token"], text: "assignment", variable: "anywhere" },
  { words: ["access", "key"], text: "assignment" },
  { words: ["credential"], text: "assignment", variable: "anywhere" },
  { words: ["credentials"], text: "assignment" },
  { words: ["private"], variable: "end" },
];

/** Alternatives for a regular expression without the `v` flag. The caller chooses case sensitivity. */
const pattern = (kind: SecretName["text"]): string =>
  SECRET_NAMES.filter(({ text }) => text === kind)
    .map(({ words }) => words.join("[_-]?"))
    // Of two names with a common beginning, the longer one must be tried first.
    .sort((a, b) => b.length - a.length)
    .join("|");

export const PROSE_NAMES = pattern("prose");
export const ASSIGNED_NAMES = pattern("assignment");

const variables = (where: SecretName["variable"]): string =>
  SECRET_NAMES.filter(({ variable }) => variable === where)
    .map(({ words }) => words.join("_?"))
    .join("|");

/**
 * Last words of variables that describe a secret but do not contain it: `SECRET_MANAGER`, `TOKEN_TTL`, `PASSWORD_FILE`.
 */
const ABOUT =
  "manager|provider|backend|store|service|engine|driver|file|path|dir|folder|name|type|kind|mode|format|url|uri|host|port|endpoint|issuer|audience|header|prefix|region|version|ttl|exp|expiry|expires?|expires_in|expiration|lifetime|max_age|age|timeout|seconds|minutes|hours|days|length|size|count|limit|min|max|rounds|cost|iterations|algorithm|alg|policy|enabled|disabled|required|optional|auth_method|method|encryption|rotation|strategy|location";
const IS_ABOUT = new RegExp(`(?:^|_)(?:${ABOUT})$`);
const ANYWHERE = new RegExp(variables("anywhere"));
const AT_END = new RegExp(`(?:${variables("end")})$`);
/** Names that end like the name of a secret but are public. */
const PUBLIC =
  /(?:^|_)(?:bypass|compass|oldpwd|(?:public|publishable|primary|foreign|sort|partition|cache|routing|group|shortcut|hot)_?key)$/;
/** Matches `key` as the whole name or as the last word. */
const KEY = /(?:^|_)key$/;

/** True when a variable contains a secret, judged by its name. */
export function isSecretName(name: string): boolean {
  const plain = name
    .replace(/([a-z0-9])([A-Z])/g, "$1_$2")
    .replace(/[.-]/g, "_")
    .toLowerCase()
    .replace(/_+$/, "");
  if (plain === "pwd" || PUBLIC.test(plain) || IS_ABOUT.test(plain)) return false;
  return KEY.test(plain) || AT_END.test(plain) || ANYWHERE.test(plain);
}

const camelCase = (words: readonly string[]): string =>
  words.map((word, index) => (index === 0 ? word : word[0]?.toUpperCase() + word.slice(1))).join("");

/** Fields of the server's log whose values are never written: names of secrets, and fields with environments. */
export const SECRET_FIELDS: readonly string[] = [
  ...new Set([
    ...SECRET_NAMES.flatMap(({ words }) => [words.join("_"), camelCase(words)]),
    ...["authorization", "cookie", "secrets", "secretValues", "secret_values", "env", "environment"],
  ]),
];

/** A line of npm settings with a credential, or a URL with a password. */
export const NPM_CREDENTIAL =
  /^[ \t]*(?:[^\s=#;]*:)?(?:_auth|_authToken|_password|key)[ \t]*=|:\/\/[^\s/:@]+:[^\s/@]+@/im;
