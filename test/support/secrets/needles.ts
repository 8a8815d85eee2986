/** Looks for secrets in whatever was recorded: as they are, in part, backwards, encoded, and inside of what is base64 or gzip. */
import { gunzipSync } from "node:zlib";

/** So much of a value is searched for: a text that was cut in the middle of one still shows. */
const PIECE = 12;
/** Base64 within base64, as an engine's ids are. */
const DEEPEST = 4;

const reversed = (text: string): string => [...text].reverse().join("");
const percent = (text: string): string =>
  Array.from(Buffer.from(text), (byte) => `%${byte.toString(16).padStart(2, "0")}`).join("");
const octal = (text: string): string =>
  Array.from(text, (one) =>
    /[A-Za-z0-9_.,/:@=+-]/.test(one) ? one : `\\0${one.charCodeAt(0).toString(8).padStart(3, "0")}`,
  ).join("");

/** The characters of base64 that depend on the text alone, wherever it stands in what was encoded. */
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

/** Of values of at least 12 characters, by name: their beginning and their end, in every form. */
export function needlesOf(secrets: Record<string, string>): Needles {
  return new Map(
    Object.entries(secrets).map(([name, value]) => {
      if (value.length < PIECE) throw new Error(`the secret ${name} is too short to be searched for`);
      const pieces = [value.slice(0, PIECE), value.slice(-PIECE)];
      return [name, [...new Set(pieces.flatMap(formsOf))]];
    }),
  );
}

/** What base64 and gzip hide. */
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

/** Finds of one text: `name (form)` with what stands around it. */
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
