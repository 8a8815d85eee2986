/** Sanitises errors of a runtime. They may quote output of a service or a build tool, which is untrusted. */
import { StackwardenError, toStackwardenError } from "../../errors.js";
import { mapHintText } from "../../hint.js";
import { sanitizeText } from "./sanitize-text.js";

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

/** Maximum length of a suggested compose file. */
const MOST_COMPOSE = 20_000;

/** Details with every text cleaned. A suggested compose file is not output: the caller writes it as it stands. */
function cleanDetails(details: Record<string, unknown>, clean: (text: string) => string): Record<string, unknown> {
  const cleaned = cleanTexts(details, clean);
  if (typeof details.compose !== "string") return cleaned;
  const lines = details.compose.slice(0, MOST_COMPOSE).split("\n");
  return { ...cleaned, compose: lines.map(sanitizeText).join("\n") };
}

/** The same error with every text sanitised, redacted and bounded. */
export function sanitizeError(error: unknown, clean: (text: string) => string): StackwardenError {
  const failure = toStackwardenError(error);
  const details = failure.details === undefined ? {} : { details: cleanDetails(failure.details, clean) };
  return new StackwardenError(failure.code, clean(failure.message), {
    hint: mapHintText(failure.hintParts, clean),
    ...details,
    retryable: failure.retryable,
    cause: failure.cause,
  });
}
