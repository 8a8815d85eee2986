/**
 * Reads a YAML text as tokens and refuses one that exceeds a limit before documents are composed of the tokens. The YAML
 * library composes recursively, and a stack overflow is not always an exception: when V8 compiles a regular expression at
 * that point, the process aborts. Composing also takes longest for what no definition needs.
 */
import { CST, Lexer, Parser } from "yaml";
import { below, MOST_ENTRIES, MOST_LEVELS } from "./tree.js";

/** Maximum tags and anchors in a row. A mapping and its first key can have one of each. */
const MOST_PROPERTIES = 10;

export interface ExceededLimit {
  message: string;
  hint: string;
  /** Offset in the text. */
  at: number;
  /** Path of the value; empty for the file. */
  path: string;
}

/**
 * @param onNewLine called with the offset of each line
 * @returns the tokens, or the first limit that the text exceeds
 */
export function boundedTokens(text: string, onNewLine?: (offset: number) => void): CST.Token[] | ExceededLimit {
  const parser = new Parser(onNewLine);
  const { stack } = parser;
  const tokens: CST.Token[] = [];
  let properties = 0;
  onNewLine?.(0);
  for (const lexeme of new Lexer().lex(text)) {
    for (const token of parser.next(lexeme)) tokens.push(token);
    if (stack.length > MOST_LEVELS)
      return {
        message: `nests deeper than ${MOST_LEVELS} levels`,
        hint: "Write it with fewer levels.",
        at: parser.offset,
        path: "",
      };
    if (/^[!&]/.test(lexeme)) properties += 1;
    else if (!/^[\s#]/.test(lexeme)) properties = 0;
    if (properties > MOST_PROPERTIES)
      return {
        message: `has more than ${MOST_PROPERTIES} tags and anchors before one value`,
        hint: "Write at most one tag and one anchor before a value.",
        at: parser.offset,
        path: "",
      };
    // One more, because an item begins before its value, which may not follow.
    const innermost = stack[stack.length - 1];
    if (innermost !== undefined && itemsOf(innermost).length > MOST_ENTRIES + 1)
      return {
        message: `has more than ${MOST_ENTRIES} entries`,
        hint: `Write at most ${MOST_ENTRIES} entries.`,
        at: innermost.offset,
        path: pathTo(stack),
      };
  }
  for (const token of parser.end()) tokens.push(token);
  return tokens;
}

const NO_ITEMS: readonly CST.CollectionItem[] = [];
const itemsOf = (token: CST.Token): readonly CST.CollectionItem[] => ("items" in token ? token.items : NO_ITEMS);

/** Path of the innermost collection of a parser's stack. */
function pathTo(stack: readonly CST.Token[]): string {
  let path = "";
  for (const token of stack.slice(0, -1)) {
    const items = itemsOf(token);
    const key = CST.resolveAsScalar(items.at(-1)?.key ?? null);
    if (key !== null) path = below(path, key.value);
    else if (items.length > 0) path += `[${items.length - 1}]`;
  }
  return path;
}

/** @returns the first limit that the text exceeds; null when it exceeds none */
export function exceededLimit(text: string): ExceededLimit | null {
  const tokens = boundedTokens(text);
  return Array.isArray(tokens) ? null : tokens;
}
