/** Describes for users what the engine does for a service: pulls, builds, installations. */
import { stripVTControlCharacters } from "node:util";

/** Spans that describe the progress of a pull or a build; the others are internal to the engine. */
const TOLD =
  /^(?:pull(?:ing)?|resolv(?:e|ing)|extract(?:ing)?|unpack(?:ing)?|upload(?:ing)?|exec|withExec|\[[^\]]+\]|FROM|RUN|COPY|ADD|WORKDIR)\b|^\[/i;
const LONGEST = 120;
/** Milliseconds between two messages. */
const APART_MS = 250;

export function progress(tell: (message: string) => void, now: () => number = Date.now): (span: string) => void {
  let last = Number.NEGATIVE_INFINITY;
  return (span) => {
    if (!TOLD.test(span) || now() - last < APART_MS) return;
    last = now();
    tell(stripVTControlCharacters(span).replace(/\s+/g, " ").slice(0, LONGEST));
  };
}
