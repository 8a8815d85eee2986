/** Sanitises errors of a runtime. They may quote output of a service or a build tool, which is untrusted. */
import { StackwardenError, toStackwardenError } from "../../errors.js";
import { mapHintText } from "../../hint.js";

/** The same value with every text in it changed. */
export function cleanTexts<T>(value: T, clean: (text: string) => string): T {
  const cleaned = (one: unknown): unknown => {
    if (typeof one === "string") return clean(one);
    if (Array.isArray(one)) return one.map(cleaned);
    if (typeof one !== "object" || one === null) return one;
    return Object.fromEntries(Object.entries(one).map(([key, inner]) => [key, cleaned(inner)]));
  };
  return cleaned(value) as T;
}

/** Keeps the line ends of a text that is clean otherwise: a detail can be a file that the caller is to write. */
const keepLines = (clean: (text: string) => string) => (text: string) => {
  const cleaned = clean(text);
  return cleaned === text.replaceAll("\n", " ") ? text : cleaned;
};

/** The same error with every text sanitised, redacted and bounded. */
export function sanitizeError(error: unknown, clean: (text: string) => string): StackwardenError {
  const failure = toStackwardenError(error);
  const details = failure.details === undefined ? {} : { details: cleanTexts(failure.details, keepLines(clean)) };
  return new StackwardenError(failure.code, clean(failure.message), {
    hint: mapHintText(failure.hintParts, clean),
    ...details,
    cause: failure.cause,
  });
}
