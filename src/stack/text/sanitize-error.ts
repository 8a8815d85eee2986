/** Sanitises errors of a runtime. They may quote output of a service or a build tool, which is untrusted. */
import { StackwardenError, toStackwardenError } from "../../errors.js";
import { mapHintText } from "../../hint.js";

function cleanValue(value: unknown, clean: (text: string) => string): unknown {
  if (typeof value === "string") return clean(value);
  if (Array.isArray(value)) return value.map((one) => cleanValue(one, clean));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, cleanValue(one, clean)]));
}

/** The same error with every text sanitised, redacted and bounded. */
export function sanitizeError(error: unknown, clean: (text: string) => string): StackwardenError {
  const known = toStackwardenError(error);
  const details =
    known.details === undefined ? {} : { details: cleanValue(known.details, clean) as Record<string, unknown> };
  return new StackwardenError(known.code, clean(known.message), {
    hint: mapHintText(known.hintParts, clean),
    ...details,
    cause: known.cause,
  });
}
