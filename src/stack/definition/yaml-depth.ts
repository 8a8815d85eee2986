/**
 * Reads a YAML text as tokens and measures its nesting depth before documents are composed of them. The YAML library
 * composes recursively, and a stack overflow is not always an exception: when V8 compiles a regular expression at that
 * point, the process aborts.
 */
import { type CST, Lexer, Parser } from "yaml";
import { MOST_LEVELS } from "./tree.js";

/**
 * @param onNewLine called with the offset of each line
 * @returns the tokens, or the offset at which the text first nests deeper than MOST_LEVELS
 */
export function shallowTokens(text: string, onNewLine?: (offset: number) => void): CST.Token[] | number {
  const parser = new Parser(onNewLine);
  const tokens: CST.Token[] = [];
  onNewLine?.(0);
  for (const lexeme of new Lexer().lex(text)) {
    for (const token of parser.next(lexeme)) tokens.push(token);
    if (parser.stack.length > MOST_LEVELS) return parser.offset;
  }
  for (const token of parser.end()) tokens.push(token);
  return tokens;
}

/** @returns the offset at which the text first nests deeper than MOST_LEVELS; null when it never does */
export function tooDeepAt(text: string): number | null {
  const tokens = shallowTokens(text);
  return typeof tokens === "number" ? tokens : null;
}
