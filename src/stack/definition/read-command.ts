/** Commands: an argument vector, or text split into words as Compose does; a shell never sees it (S5). */
import { given, type NodeReader } from "./node-reader.js";

/** POSIX word splitting with quotes and backslashes, without expansion. Null: a quote is not closed. */
export function splitWords(text: string): string[] | null {
  const words: string[] = [];
  let word: string | null = null;
  let quote: string | null = null;
  for (let at = 0; at < text.length; at += 1) {
    const char = text[at] as string;
    if (quote === null && /\s/.test(char)) {
      if (word !== null) words.push(word);
      word = null;
    } else if (char === quote) {
      quote = null;
    } else if (quote === null && (char === '"' || char === "'")) {
      quote = char;
      word ??= "";
    } else if (char === "\\" && quote !== "'" && (quote === null || /["\\$`]/.test(text[at + 1] ?? ""))) {
      at += 1;
      word = (word ?? "") + (text[at] ?? "");
    } else {
      word = (word ?? "") + char;
    }
  }
  if (quote !== null) return null;
  return word === null ? words : [...words, word];
}

export function readCommand(reader: NodeReader | undefined): string[] | undefined {
  if (!given(reader)) return undefined;
  if (reader.isList) return reader.strings("an argument");
  const text = reader.string("a command");
  if (text === undefined) return undefined;
  return splitWords(text) ?? reader.invalid("has a quote that is not closed", 'Write a list: ["program", "argument"].');
}
