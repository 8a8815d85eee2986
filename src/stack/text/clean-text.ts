import type { Redactor } from "./redaction.js";
import { boundText, LONGEST_TEXT, sanitizeText } from "./sanitize-text.js";

/** Sanitises, redacts and bounds text that came from a project, a service or the runtime. */
export const textCleaner =
  (redactor: Pick<Redactor, "redact">) =>
  (text: string): string =>
    boundText(redactor.redact(sanitizeText(text)), LONGEST_TEXT);
