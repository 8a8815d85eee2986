/** The forms in which a secret value turns up in output: as it is, encoded for a URL, in base64, escaped in JSON. */
import { isOrdinaryWord } from "./ordinary-words.js";
import { sanitizeText } from "./sanitize-text.js";

/** Shorter values would blank out ordinary words. */
export const MIN_SECRET_LENGTH = 6;

const percent = (value: string, keep: RegExp): string =>
  Array.from(Buffer.from(value), (byte) => {
    const character = String.fromCharCode(byte);
    return keep.test(character) ? character : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }).join("");

const lowerCaseHex = (encoded: string): string => encoded.replace(/%[0-9A-F]{2}/g, (hex) => hex.toLowerCase());

/**
 * The characters of a base64 text that depend on the value alone, for each of the three alignments: finds the
 * value also inside `base64(user:value)`.
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

/** Python's `json.dumps` and friends write everything beyond ASCII as `\uXXXX`. */
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

/** All forms of a value, each long enough to be searched for; empty when the value is not worth hiding. */
export function secretEncodings(value: string): string[] {
  if (value.length < MIN_SECRET_LENGTH || isOrdinaryWord(value)) return [];
  // Output comes line by line: a value of several lines (a key file) is also searched line by line.
  const lines = /[\r\n]/.test(value)
    ? value.split(/[\r\n]+/).filter((line) => line.length >= MIN_SECRET_LENGTH && !line.startsWith("-----"))
    : [];
  const forms = [value, ...lines].flatMap(formsOfOne);
  return [...new Set(forms)].filter((form) => form.length >= MIN_SECRET_LENGTH);
}
