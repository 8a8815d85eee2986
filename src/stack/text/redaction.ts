/** Takes secrets out of text at the border where it enters: by value, and by the form they are written in. */
import { REDACTED, redactPatterns } from "./redaction-patterns.js";
import { CUT_MARK } from "./sanitize-text.js";
import { MIN_SECRET_LENGTH, secretEncodings } from "./secret-encodings.js";
import { createMatcher, type SecretMatcher } from "./secret-matcher.js";

export { REDACTED } from "./redaction-patterns.js";

export interface Redactor {
  /**
   * Every known value in any of its forms, and everything that looks like a secret, becomes `[redacted]`.
   * Text of more than 262,144 characters is cut.
   */
  redact(text: string): string;
  /** Makes more values known. Values under 6 characters are ignored: they would blank out ordinary words. */
  add(values: Iterable<string>): void;
  /**
   * Length of the text's end that may be the beginning of a known value (0 when none). Whoever must pass on text
   * before its line is complete holds so much back.
   */
  pendingLength(text: string): number;
}

/** A shorter beginning of a value says too little to hold text back for it. */
const MIN_PENDING = 4;

/** Longer text is redacted and shown only so far: no line and no report needs more. In characters. */
const LONGEST = 256 * 1024;
/** A secret may be cut where the text was: so much before that place is not shown. */
const UNSURE_END = 4096;

function replaceSpans(text: string, spans: [number, number][]): string {
  let result = "";
  let done = 0;
  for (const [from, to] of spans) {
    result += text.slice(done, from) + REDACTED;
    done = to;
  }
  return done === 0 ? text : result + text.slice(done);
}

/** Starts with `values` known. Takes time linear in the length of the text, however many values are known. */
export function createRedactor(values: Iterable<string> = []): Redactor {
  const known = new Set<string>();
  let matcher: SecretMatcher | undefined;

  const add = (more: Iterable<string>): void => {
    const before = known.size;
    for (const value of more) for (const form of secretEncodings(value)) known.add(form);
    if (known.size > before) matcher = undefined;
  };
  const current = (): SecretMatcher => {
    matcher ??= createMatcher([...known]);
    return matcher;
  };
  const clean = (text: string): string =>
    redactPatterns(known.size === 0 ? text : replaceSpans(text, current().spans(text)));
  add(values);

  return {
    add,
    redact(text) {
      if (text.length < MIN_SECRET_LENGTH) return text;
      if (text.length <= LONGEST) return clean(text);
      const shown = clean(text.slice(0, LONGEST));
      return shown.slice(0, Math.max(0, shown.length - UNSURE_END)) + CUT_MARK;
    },
    pendingLength(text) {
      const length = known.size === 0 ? 0 : current().pendingLength(text);
      return length < MIN_PENDING ? 0 : length;
    },
  };
}
