/**
 * How deep a YAML text nests, found before it is read. The library reads by recursion, and JavaScript does not always
 * turn a full stack of calls into an exception: where V8 just has to compile a regular expression, it ends the process.
 */
import { Lexer, Parser } from "yaml";

/** Far above what anybody writes, far below what fills a stack. */
export const MOST_LEVELS = 100;

/** @returns the offset at which the text first nests deeper than MOST_LEVELS; null: nowhere */
export function tooDeepAt(text: string): number | null {
  const parser = new Parser();
  for (const lexeme of new Lexer().lex(text)) {
    for (const _whole of parser.next(lexeme)) {
      // Only what is still open matters.
    }
    if (parser.stack.length > MOST_LEVELS) return parser.offset;
  }
  return null;
}
