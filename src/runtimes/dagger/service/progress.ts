/** What the engine is doing for a service, in words for a person: pulls, builds, installations. */
import { stripVTControlCharacters } from "node:util";

/** Spans that tell how far a pull or a build has come; the rest is the engine's own bookkeeping. */
const TOLD =
  /^(?:pull(?:ing)?|resolv(?:e|ing)|extract(?:ing)?|unpack(?:ing)?|upload(?:ing)?|exec|withExec|\[[^\]]+\]|FROM|RUN|COPY|ADD|WORKDIR)\b|^\[/i;
const LONGEST = 120;
/** Between two messages, milliseconds. */
const APART_MS = 250;

export function progress(tell: (message: string) => void, now: () => number = Date.now): (span: string) => void {
  let last = Number.NEGATIVE_INFINITY;
  return (span) => {
    if (!TOLD.test(span) || now() - last < APART_MS) return;
    last = now();
    tell(stripVTControlCharacters(span).replace(/\s+/g, " ").slice(0, LONGEST));
  };
}
