/** Reads commands: an argument vector, or text that is split into words as in Compose, without a shell. */
import { hasValue, type NodeReader } from "./node-reader.js";

interface SplitWords {
  words: string[];
  /** The text from the first shell operator on, which Compose drops. */
  dropped: string;
  /** The first variable, `*` or leading `~` that a shell would replace; empty when there is none. */
  expansion: string;
}

const SPACE = /[ \t\r\n]/;
/** Characters that a backslash escapes in double quotes. */
const ESCAPABLE = /[$`"\\\n]/;
const VARIABLE = /\$(?:\w+|\{[^}]*\})/y;
const HOME = /~(?=[/\s]|$)/y;

/** What a shell would replace at this place, outside of single quotes. */
function expansionAt(text: string, at: number, place: { quoted: boolean; begun: boolean }): string {
  VARIABLE.lastIndex = at;
  const variable = VARIABLE.exec(text)?.[0];
  if (variable !== undefined || place.quoted) return variable ?? "";
  HOME.lastIndex = at;
  return text[at] === "*" || (!place.begun && HOME.test(text)) ? (text[at] as string) : "";
}

/**
 * Splits text into words as compose-go's `go-shellwords` does: with quotes and backslashes, without expansion.
 * Splitting ends at the first unquoted shell operator. Returns null when a quote or parenthesis is not closed.
 * @param posix a backslash in double quotes escapes only what a shell would take otherwise: `"\\d"` keeps it
 */
export function splitCommand(text: string, { posix = false } = {}): SplitWords | null {
  const words: string[] = [];
  let word = "";
  let begun = false;
  let quote: string | null = null;
  let back = false;
  let dollar = false;
  let dropped = "";
  let expansion = "";
  for (let at = 0; at < text.length; at += 1) {
    let char = text[at] as string;
    if (char === "\\" && quote !== "'") {
      at += 1;
      if (at >= text.length) return null;
      char = text[at] as string;
      word += posix && quote === '"' && !ESCAPABLE.test(char) ? `\\${char}` : char;
      begun = true;
      continue;
    }
    const open = quote !== null || back || dollar;
    if (quote !== "'" && !back && !dollar && expansion === "")
      expansion = expansionAt(text, at, { quoted: quote !== null, begun });
    if (SPACE.test(char)) {
      if (open) word += char;
      else if (begun) {
        words.push(word);
        word = "";
        begun = false;
      }
      continue;
    }
    if (char === "`" && quote === null && !dollar) back = !back;
    else if (char === ")" && quote === null && !back) dollar = !dollar;
    else if (char === "(" && quote === null && !back) {
      if (dollar || !word.endsWith("$")) return null;
      dollar = true;
      word += char;
      continue;
    } else if ((char === '"' || char === "'") && (quote === null || quote === char) && !dollar) {
      if (quote !== null) begun = true;
      quote = quote === null ? char : null;
      continue;
    } else if (/[;&|<>]/.test(char) && !open) {
      dropped = text.slice(at).trim();
      if (char === ">" && /^\d/.test(word)) begun = false;
      break;
    }
    word += char;
    begun = true;
  }
  if (quote !== null || back || dollar) return null;
  return { words: begun ? [...words, word] : words, dropped, expansion };
}

/**
 * Splits a caller's command as a POSIX shell does, without expansion. Returns null when a quote or parenthesis is not
 * closed.
 */
export const splitAtOperator = (text: string): SplitWords | null => splitCommand(text, { posix: true });

/** @param note called when Compose drops a part of the command */
export function readCommand(reader: NodeReader | undefined, note?: (text: string) => void): string[] | undefined {
  if (!hasValue(reader)) return undefined;
  if (reader.isList) return reader.strings("an argument");
  const text = reader.string("a command");
  if (text === undefined) return undefined;
  const split = splitCommand(text);
  if (split === null) return reader.invalid("has a quote that is not closed", 'Write a list: ["program", "argument"].');
  if (split.dropped !== "")
    note?.(
      `${reader.path}: a command is not read by a shell; as in Compose, everything from ${JSON.stringify(split.dropped.slice(0, 40))} on is dropped. Write ["sh", "-c", "…"].`,
    );
  return split.words;
}
