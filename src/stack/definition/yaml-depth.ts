/**
 * Measures the nesting depth of a YAML text before it is parsed. The YAML library parses recursively, and a stack
 * overflow is not always an exception: when V8 compiles a regular expression at that point, the process aborts.
 */
import { Lexer, Parser } from "yaml";
import { MOST_LEVELS } from "./tree.js";

/** @returns the offset at which the text first nests deeper than MOST_LEVELS; null when it never does */
export function tooDeepAt(text: string): number | null {
  const parser = new Parser();
  for (const lexeme of new Lexer().lex(text)) {
    for (const _whole of parser.next(lexeme)) {
      // Only the parser's stack of open nodes matters.
    }
    if (parser.stack.length > MOST_LEVELS) return parser.offset;
  }
  return null;
}
