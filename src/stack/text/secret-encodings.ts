/** Encodings of a secret value in output: plain, URL-encoded, base64, escaped in JSON. */
import { isOrdinaryWord } from "./ordinary-words.js";
import { sanitizeText } from "./sanitize-text.js";

/** Minimum characters of a value. Shorter values would redact ordinary words. */
export const MIN_SECRET_LENGTH = 6;

const percent = (value: string, keep: RegExp): string =>
  Array.from(Buffer.from(value), (byte) => {
    const character = String.fromCharCode(byte);
    return keep.test(character) ? character : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }).join("");

const lowerCaseHex = (encoded: string): string => encoded.replace(/%[0-9A-F]{2}/g, (hex) => hex.toLowerCase());

/**
 * The base64 characters that depend only on the value, for each of the three alignments. They also match the value
 * inside `base64(user:value)`.
 */
function base64Cores(value: string): string[] {
  const bytes = Buffer.from(value);
  return [0, 1, 2].map((offset) => {
    const encoded = Buffer.concat([Buffer.alloc(offset), bytes])
      .toString("base64")
      .replace(/=+$/, "");
    const from = Math.ceil((offset * 8) / 6);
    const to = Math.floor(((offset + bytes.length) * 8) / 6);
    return encoded.slice(from, to);
  });
}

/** Escapes non-ASCII characters as `\uXXXX`, as Python's `json.dumps` and similar functions do. */
const asciiOnly = (text: string): string =>
  text.replace(/[^\x20-\x7e]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);

function formsOfOne(value: string): string[] {
  const urls = [/[A-Za-z0-9\-_.~]/, /[A-Za-z0-9\-_.!~*'()]/, /[A-Za-z0-9\-_.~/]/].flatMap((keep) => {
    const encoded = percent(value, keep);
    return [encoded, encoded.replaceAll("%20", "+")];
  });
  const json = JSON.stringify(value).slice(1, -1);
  const base64 = base64Cores(value);
  return [
    value,
    sanitizeText(value),
    ...urls,
    ...urls.map(lowerCaseHex),
    json,
    json.replaceAll("/", "\\/"),
    asciiOnly(json),
    JSON.stringify(json).slice(1, -1),
    ...base64,
    ...base64.map((core) => core.replaceAll("+", "-").replaceAll("/", "_")),
  ];
}

/** All encodings of a value that are long enough to search for; empty for short values and ordinary words. */
export function secretEncodings(value: string): string[] {
  if (value.length < MIN_SECRET_LENGTH || isOrdinaryWord(value)) return [];
  // Output is searched line by line, so each line of a multi-line value (a key file) is searched separately too.
  const lines = /[\r\n]/.test(value)
    ? value.split(/[\r\n]+/).filter((line) => line.length >= MIN_SECRET_LENGTH && !line.startsWith("-----"))
    : [];
  const forms = [value, ...lines].flatMap(formsOfOne);
  return [...new Set(forms)].filter((form) => form.length >= MIN_SECRET_LENGTH);
}
