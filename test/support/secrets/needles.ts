/** Searches recorded data for secrets: as they are, in part, reversed, encoded, and inside base64 or gzip. */
import { gunzipSync } from "node:zlib";

/** Length of the searched parts, which also find a cut text. */
const PIECE = 12;
/** Depth of base64 within base64, as in an engine's ids. */
const DEEPEST = 4;

const reversed = (text: string): string => [...text].reverse().join("");
const percent = (text: string): string =>
  Array.from(Buffer.from(text), (byte) => `%${byte.toString(16).padStart(2, "0")}`).join("");
const octal = (text: string): string =>
  Array.from(text, (one) =>
    /[A-Za-z0-9_.,/:@=+-]/.test(one) ? one : `\\0${one.charCodeAt(0).toString(8).padStart(3, "0")}`,
  ).join("");

/** The base64 characters that depend only on the text, at each alignment. */
function base64Cores(text: string): string[] {
  return [0, 1, 2].map((before) => {
    const encoded = Buffer.concat([Buffer.alloc(before), Buffer.from(text)])
      .toString("base64")
      .replace(/=+$/, "");
    return encoded.slice(Math.ceil((before * 8) / 6), Math.floor(((before + text.length) * 8) / 6));
  });
}

function formsOf(piece: string): string[] {
  const base64 = base64Cores(piece);
  return [
    piece,
    reversed(piece),
    encodeURIComponent(piece),
    encodeURIComponent(piece).toLowerCase(),
    percent(piece),
    octal(piece),
    JSON.stringify(piece).slice(1, -1),
    Buffer.from(piece).toString("hex"),
    ...base64,
    ...base64.map((one) => one.replaceAll("+", "-").replaceAll("/", "_")),
  ];
}

export type Needles = ReadonlyMap<string, readonly string[]>;

/** For values of at least 12 characters, by name: their first and last part in every encoding. */
export function needlesOf(secrets: Record<string, string>): Needles {
  return new Map(
    Object.entries(secrets).map(([name, value]) => {
      if (value.length < PIECE) throw new Error(`the secret ${name} is too short to be searched for`);
      const pieces = [value.slice(0, PIECE), value.slice(-PIECE)];
      return [name, [...new Set(pieces.flatMap(formsOf))]];
    }),
  );
}

/** Content of base64 and gzip. */
function inside(text: string): string[] {
  return (text.match(/[A-Za-z0-9+/_-]{16,}/g) ?? []).flatMap((run) => {
    const bytes = Buffer.from(run, "base64");
    if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return [bytes.toString("latin1")];
    try {
      return [gunzipSync(bytes).toString("latin1")];
    } catch {
      return [];
    }
  });
}

/** Matches in a text: `name (encoding)` with the text around. */
export function secretsIn(needles: Needles, where: string, text: string | Buffer, depth = 0): string[] {
  const whole = typeof text === "string" ? text : text.toString("latin1");
  const found = [...needles].flatMap(([name, forms]) => {
    const form = forms.find((one) => whole.includes(one));
    if (form === undefined) return [];
    const at = whole.indexOf(form);
    const around = whole.slice(Math.max(0, at - 120), at + form.length + 60).replace(/[^\x20-\x7e]+/g, " ");
    return [`${name} in ${where}: …${around}…`];
  });
  const hidden = depth === DEEPEST ? [] : inside(whole);
  return hidden.length === 0
    ? found
    : [...found, ...secretsIn(needles, `${where}, decoded`, hidden.join("\n"), depth + 1)];
}
