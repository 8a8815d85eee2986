/** Removes secrets from text where it enters the server: by value and by format. */
import { REDACTED, redactPatterns } from "./redaction-patterns.js";
import { CUT_MARK } from "./sanitize-text.js";
import { MIN_SECRET_LENGTH, secretEncodings } from "./secret-encodings.js";
import { createMatcher, type SecretMatcher } from "./secret-matcher.js";

export { REDACTED } from "./redaction-patterns.js";

export interface Redactor {
  /**
   * Replaces every known value in any of its encodings, and text with the format of a secret, by `[redacted]`. Text is
   * cut after 262,144 characters.
   */
  redact(text: string): string;
  /** Adds known values. Values under 6 characters are ignored, because they would redact ordinary words. */
  add(values: Iterable<string>): void;
  /**
   * Number of characters at the end of the text that may be the beginning of a known value; 0 when there are none. A
   * caller that forwards text before its line is complete must hold these characters back.
   */
  pendingLength(text: string): number;
}

/** Minimum characters of a value's beginning for which text is held back. */
const MIN_PENDING = 4;

/** Maximum characters of a text. Longer text is cut before redaction; no line and no report needs more. */
const LONGEST = 256 * 1024;
/** Characters withheld before the cut of a text: they may contain part of a secret. */
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

/**
 * Creates a redactor with these known values. Redaction takes time linear in the length of the text, regardless of the
 * number of values.
 */
export function createRedactor(values: Iterable<string> = []): Redactor {
  const forms = new Set<string>();
  let matcher: SecretMatcher | undefined;

  const add = (more: Iterable<string>): void => {
    const before = forms.size;
    for (const value of more) for (const form of secretEncodings(value)) forms.add(form);
    if (forms.size > before) matcher = undefined;
  };
  const current = (): SecretMatcher => {
    matcher ??= createMatcher([...forms]);
    return matcher;
  };
  const clean = (text: string): string =>
    redactPatterns(forms.size === 0 ? text : replaceSpans(text, current().spans(text)));
  add(values);

  return {
    add,
    redact(text) {
      if (text.length < MIN_SECRET_LENGTH) return text;
      if (text.length <= LONGEST) return clean(text);
      const cleaned = clean(text.slice(0, LONGEST));
      return cleaned.slice(0, Math.max(0, cleaned.length - UNSURE_END)) + CUT_MARK;
    },
    pendingLength(text) {
      const length = forms.size === 0 ? 0 : current().pendingLength(text);
      return length < MIN_PENDING ? 0 : length;
    },
  };
}
