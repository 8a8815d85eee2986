import { HELD_CHARACTERS } from "../../stack/text/sanitize-text.js";

/** The last line of a program's output, trimmed. Callers that display it redact it first, then truncate it. */
export const lastLine = (output: string): string => {
  const text = output.trim();
  const from = text.lastIndexOf("\n") + 1;
  return text.slice(from, from + HELD_CHARACTERS).trimEnd();
};
