/** Takes secrets out of text at the border where it enters: by value, and by the form they are written in. */
import { REDACTED, redactPatterns } from "./redaction-patterns.js";
import { MIN_SECRET_LENGTH, secretEncodings } from "./secret-encodings.js";

export { REDACTED } from "./redaction-patterns.js";

export interface Redactor {
  /** Every known value in any of its forms, and everything that looks like a secret, becomes `[redacted]`. */
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

const escapeForRegExp = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");

/** Occurrences of all forms, also overlapping ones, so that no end of a second secret is left over. */
function replaceForms(text: string, forms: readonly string[]): string {
  const spans: [number, number][] = [];
  for (const form of forms) {
    for (let at = text.indexOf(form); at >= 0; at = text.indexOf(form, at + 1)) spans.push([at, at + form.length]);
  }
  spans.sort((a, b) => a[0] - b[0] || b[1] - a[1]);
  let result = "";
  let done = 0;
  for (const [from, to] of spans) {
    if (from >= done) result += text.slice(done, from) + REDACTED;
    done = Math.max(done, to);
  }
  return result + text.slice(done);
}

/** Starts with `values` known. Cheap for text without a secret. */
export function createRedactor(values: Iterable<string> = []): Redactor {
  const known = new Set<string>();
  let forms: string[] = [];
  let anyForm: RegExp | undefined;

  const add = (more: Iterable<string>): void => {
    const before = known.size;
    for (const value of more) for (const form of secretEncodings(value)) known.add(form);
    if (known.size === before) return;
    forms = [...known].sort((a, b) => b.length - a.length);
    anyForm = new RegExp(forms.map(escapeForRegExp).join("|"));
  };
  add(values);

  return {
    add,
    redact(text) {
      if (text.length < MIN_SECRET_LENGTH) return text;
      const without = anyForm?.test(text) ? replaceForms(text, forms) : text;
      return redactPatterns(without);
    },
    pendingLength(text) {
      let longest = 0;
      for (const form of forms) {
        const most = Math.min(form.length - 1, text.length);
        for (let length = most; length >= MIN_PENDING && length > longest; length -= 1) {
          if (text.endsWith(form.slice(0, length))) longest = length;
        }
      }
      return longest;
    },
  };
}
