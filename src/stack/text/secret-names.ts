/**
 * The one list of names under which people keep secrets. Environment variables, text that looks like `name=value`, the
 * server's own log fields and npm's settings are judged by it.
 */

interface SecretName {
  /** In lower case; text may join them by `_` or `-`, or write them in camel case. */
  words: readonly string[];
  /** `prose`: also `name: value` in a sentence is a secret. `assignment`: only `name=value` and `"name": value`. */
  text?: "prose" | "assignment";
  /** Where the name must stand in a variable's name. */
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

/** Alternatives for a regular expression without the `v` flag; case is the caller's. */
const pattern = (kind: SecretName["text"]): string =>
  SECRET_NAMES.filter(({ text }) => text === kind)
    .map(({ words }) => words.join("[_-]?"))
    // The longer of two names that begin alike must be tried first.
    .sort((a, b) => b.length - a.length)
    .join("|");

export const PROSE_NAMES = pattern("prose");
export const ASSIGNED_NAMES = pattern("assignment");

const variables = (where: SecretName["variable"]): string =>
  SECRET_NAMES.filter(({ variable }) => variable === where)
    .map(({ words }) => words.join("_?"))
    .join("|");

/** A last word after which the value is about a secret, not one: `SECRET_MANAGER`, `TOKEN_TTL`, `PASSWORD_FILE`. */
const ABOUT =
  "manager|provider|backend|store|service|engine|driver|file|path|dir|folder|name|type|kind|mode|format|url|uri|host|port|endpoint|issuer|audience|header|prefix|region|version|ttl|exp|expiry|expires?|expires_in|expiration|lifetime|max_age|age|timeout|seconds|minutes|hours|days|length|size|count|limit|min|max|rounds|cost|iterations|algorithm|alg|policy|enabled|disabled|required|optional|auth_method|method|encryption|rotation|strategy|location";
const IS_ABOUT = new RegExp(`(?:^|_)(?:${ABOUT})$`);
const ANYWHERE = new RegExp(variables("anywhere"));
const AT_END = new RegExp(`(?:${variables("end")})$`);
/** Names that end like a secret's and are none. */
const PUBLIC =
  /(?:^|_)(?:bypass|compass|oldpwd|(?:public|publishable|primary|foreign|sort|partition|cache|routing|group|shortcut|hot)_?key)$/;
/** What `key` alone and as a last word means. */
const KEY = /(?:^|_)key$/;

/** Whether a variable of this name holds a secret, by its name alone. */
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

/** Fields of the server's own log whose value is never written: names of secrets, and what holds environments. */
export const SECRET_FIELDS: readonly string[] = [
  ...new Set([
    ...SECRET_NAMES.flatMap(({ words }) => [words.join("_"), camelCase(words)]),
    ...["authorization", "cookie", "secrets", "secretValues", "secret_values", "env", "environment"],
  ]),
];

/** A line of npm's settings that holds a credential, or an address with a password. */
export const NPM_CREDENTIAL =
  /^[ \t]*(?:[^\s=#;]*:)?(?:_auth|_authToken|_password|key)[ \t]*=|:\/\/[^\s/:@]+:[^\s/@]+@/im;
