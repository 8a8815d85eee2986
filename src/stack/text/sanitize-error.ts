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
  const failure = toStackwardenError(error);
  const details =
    failure.details === undefined ? {} : { details: cleanValue(failure.details, clean) as Record<string, unknown> };
  return new StackwardenError(failure.code, clean(failure.message), {
    hint: mapHintText(failure.hintParts, clean),
    ...details,
    cause: failure.cause,
  });
}
