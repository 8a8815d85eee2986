/**
 * Sanitises text from services, build tools and project files before a terminal or a model receives it. Removes
 * invisible characters and characters that control the display, so that readers see the actual text.
 */

/**
 * Maximum characters of a text before redaction and bounding. Far more than the amount shown, so that a secret cut here
 * is not shown in part.
 */
export const HELD_CHARACTERS = 16 * 1024;

/** Maximum bytes of a service's, runtime's or file's text in an event, error or report. */
export const LONGEST_TEXT = 2000;

/**
 * The end of a growing text, at most `HELD_CHARACTERS` characters. It begins with a complete line, because a secret cut
 * at its beginning could not be recognised.
 */
export function heldEnd(text: string): string {
  if (text.length <= HELD_CHARACTERS) return text;
  const end = text.slice(-HELD_CHARACTERS);
  return end.slice(end.indexOf("\n") + 1 || end.length);
}

/**
 * Cuts a text between words to at most `most` characters and adds a mark. No word, and so no secret, is shown in part.
 */
export function shortenAtWord(text: string, most: number): string {
  if (text.length <= most) return text;
  return `${text.slice(0, most).replace(/\S*$/, "")}${CUT_MARK}`;
}

/** Mark that `boundText` adds where it cuts. */
export const CUT_MARK = "…";

/*
 * Escape sequences of ECMA-48, 7 bit (ESC x) and 8 bit (C1). Each alternative always matches once its
 * introducer does, and a body never contains an introducer: no text makes the search quadratic.
 * A string sequence (OSC, DCS, …) without its terminator loses only its introducer, so that a single stray
 * byte cannot hide the rest of a line.
 */
const ESCAPE_SEQUENCE = new RegExp(
  [
    // CSI: parameters, intermediates, final
    "(?:\\x1b\\[|\\x9b)[0-?]*[ -/]*[@-~]?",
    // OSC, DCS, SOS, PM, APC: body up to BEL or ST
    "(?:\\x1b[\\]PX^_]|[\\x90\\x98\\x9d\\x9e\\x9f])(?:[^\\x00-\\x08\\x0a-\\x1f\\x7f-\\x9f]*(?:\\x07|\\x1b\\\\|\\x9c))?",
    // every other escape: intermediates, final
    "\\x1b[ -/]*[0-~]?",
  ].join("|"),
  "g",
);

/** Line breaks inside a field could forge lines, so each becomes a space. */
const LINE_BREAK = /\r\n|[\n\r\v\f\u0085\u2028\u2029]/g;

const CONTROL = "\\x00-\\x08\\x0e-\\x1f\\x7f-\\x84\\x86-\\x9f";
/** Bidirectional overrides, isolates and marks. */
const BIDIRECTIONAL = "\\u061c\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069";
/** Zero-width characters, fillers, invisible operators and variation selectors, which can carry hidden text. */
const INVISIBLE =
  "\\u00ad\\u034f\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180f\\u200b-\\u200d\\u2060-\\u2065\\u206a-\\u206f\\u3164\\ufe00-\\ufe0f\\ufeff\\uffa0\\ufff0-\\ufffb";

/** Tag characters and supplementary variation selectors (U+E0000…U+E0FFF) as surrogate pairs, then lone surrogates. */
const SURROGATES =
  "\\udb40[\\udc00-\\udfff]|[\\ud800-\\udbff](?![\\udc00-\\udfff])|(?<![\\ud800-\\udbff])[\\udc00-\\udfff]";

const UNWANTED = new RegExp(`[${CONTROL}${BIDIRECTIONAL}${INVISIBLE}]|${SURROGATES}`, "g");

/** One test that decides whether any of the above can match. Most text is plain. */
const SUSPECT = new RegExp(`[\\n-\\r\\x85\\u2028\\u2029\\ud800-\\udfff${CONTROL}${BIDIRECTIONAL}${INVISIBLE}]`);
const INTRODUCERS = "\\x1b\\x90\\x98\\x9b\\x9d-\\x9f";
const CONTROL_INTRODUCER = new RegExp(`[${INTRODUCERS}]`);

/**
 * Removes escape sequences, control characters (tab stays, line breaks become a space), bidirectional controls,
 * zero-width and other invisible characters, lone surrogates. Linear in the text's length; idempotent.
 */
export function sanitizeText(text: string): string {
  if (!SUSPECT.test(text)) return text;
  const plain = CONTROL_INTRODUCER.test(text) ? text.replace(ESCAPE_SEQUENCE, "") : text;
  return plain.replace(LINE_BREAK, " ").replace(UNWANTED, "");
}

const encoder = new TextEncoder();

/** The longest prefix of at most `maxBytes` UTF-8 bytes that ends at a code point boundary. */
export function cutAtBytes(text: string, maxBytes: number): string {
  if (text.length * 3 <= maxBytes) return text;
  const { read } = encoder.encodeInto(text, new Uint8Array(Math.max(0, Math.min(maxBytes, text.length * 3))));
  return read === text.length ? text : text.slice(0, read);
}

/** Cuts a text to at most `maxBytes` UTF-8 bytes. A cut text ends in `CUT_MARK` if it fits. */
export function boundText(text: string, maxBytes: number): string {
  const whole = cutAtBytes(text, maxBytes);
  if (whole.length === text.length) return text;
  const room = maxBytes - Buffer.byteLength(CUT_MARK);
  return room < 0 ? whole : cutAtBytes(text, room) + CUT_MARK;
}
