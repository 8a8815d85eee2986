/**
 * Searches blocks of the spool before they are decoded, because parsing every line takes most of the time of a search.
 * Only lines that contain a text that every match contains are decoded.
 */
import { decodeLine, type StoredLine } from "./stored-line.js";

export interface RawSearch {
  /** Lower-case JSON texts. Every stored line with a match contains one of them. */
  readonly needles: readonly string[];
  /** True to read all lines near a candidate too, for records and context. */
  readonly neighbours: boolean;
}

/** Sigma has two lower-case forms, which depend on the letters around it. */
const SIGMA = /[σς]/;
/** Half of a character; JSON escapes it. */
const LONE_SURROGATE = /[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/;

/**
 * The needles of a search; undefined when no text is known that every match contains.
 * @param regex true when `grep` is an RE2 expression
 */
export function needlesOf(grep: string, regex: boolean): string[] | undefined {
  const required = regex ? requiredTexts(grep) : [grep.toLowerCase()];
  if (required.some((text) => text === "" || SIGMA.test(text) || LONE_SURROGATE.test(text))) return undefined;
  return required.map((text) => JSON.stringify(text).slice(1, -1));
}

/** Characters that other characters match when case is ignored: the long s and the Kelvin sign. */
const FOLDED = /[sk]/i;
const QUANTIFIERS = "*?{+";

/**
 * For each alternative of an RE2 expression the longest text, in lower case, that every match contains; empty when
 * unknown. Groups, classes and quantified characters count as unknown text.
 */
function requiredTexts(expression: string): string[] {
  // Quoted text and character codes are not examined.
  if (/\\[QEpPx0-9]/.test(expression)) return [""];
  const folds = /\(\?[a-zA-Z]*i/.test(expression);
  const alternatives: string[][] = [[""]];
  let depth = 0;
  for (let at = 0; at < expression.length; at += 1) {
    const runs = alternatives.at(-1) as string[];
    const char = expression.charAt(at);
    const literal = char === "\\" ? escaped(expression.charAt(at + 1)) : plain(char);
    if (char === "[") at = endOfClass(expression, at);
    else if (char === "\\") at += 1;
    else if (char === "(") depth += 1;
    else if (char === ")") depth -= 1;
    else if (char === "|" && depth === 0) alternatives.push([""]);
    const next = expression.charAt(at + 1);
    const uncertain = depth > 0 || (next !== "" && QUANTIFIERS.includes(next)) || (folds && FOLDED.test(literal));
    if (literal === "" || uncertain) runs.push("");
    else runs[runs.length - 1] += literal;
    if (char === "{") at = Math.max(at, expression.indexOf("}", at));
  }
  const longest = (runs: string[]): string => runs.reduce((one, other) => (other.length > one.length ? other : one));
  return alternatives.map((runs) => longest(runs).toLowerCase());
}

/** The character when it matches itself; empty when it has a meaning. */
const plain = (char: string): string => (/^[ -~]$/.test(char) && !/[\\^$.|?*+()[\]{}]/.test(char) ? char : "");
/** The punctuation character that a backslash makes literal; empty for a class or an assertion. */
const escaped = (char: string): string => (/^[!-/:-@[-`{-~]$/.test(char) ? char : "");

/** Index of the bracket that ends the class at `start`. */
function endOfClass(expression: string, start: number): number {
  let at = start + 1;
  if (expression.charAt(at) === "^") at += 1;
  // A closing bracket that comes first is a member of the class.
  if (expression.charAt(at) === "]") at += 1;
  for (; at < expression.length && expression.charAt(at) !== "]"; at += 1) {
    if (expression.charAt(at) === "\\") at += 1;
    else if (expression.startsWith("[:", at)) at = Math.max(at, expression.indexOf(":]", at) + 1);
  }
  return at;
}

/** An expression of literal alternatives: its time is linear. */
const patternOf = ({ needles }: RawSearch): RegExp =>
  new RegExp(needles.map((needle) => needle.replace(/[\\^$.|?*+()[\]{}]/g, "\\$&")).join("|"), "g");

/** Number of candidates after which their share of the lines is determined. */
const SAMPLE = 64;

/** Decodes all lines of a block of whole lines. */
export const decodeBlock = (block: Buffer): StoredLine[] => decodeLines(block.toString("utf8").split("\n"));

function decodeLines(lines: readonly string[]): StoredLine[] {
  const decoded: StoredLine[] = [];
  for (const json of lines) {
    const line = json === "" ? undefined : decodeLine(json);
    if (line !== undefined) decoded.push(line);
  }
  return decoded;
}

export const containsCandidate = (block: Buffer, search: RawSearch): boolean =>
  patternOf(search).test(block.toString("utf8").toLowerCase());

/**
 * Decodes the candidates of a block of whole lines, and its first or last line, which shows a reader that merges
 * services how far the search has come.
 */
export function decodeCandidates(block: Buffer, search: RawSearch, edge: "first" | "last"): StoredLine[] {
  const text = block.toString("utf8");
  const lower = text.toLowerCase();
  // The lower-case form of some characters is longer; then positions differ.
  if (lower.length !== text.length) return decodeLines(text.split("\n"));
  const starts = new Set(edge === "first" ? [0] : []);
  const pattern = patternOf(search);
  for (let match = pattern.exec(lower), count = 1; match !== null; match = pattern.exec(lower), count += 1) {
    starts.add(text.lastIndexOf("\n", match.index) + 1);
    const end = text.indexOf("\n", match.index);
    if (end < 0) break;
    // Where most lines are candidates, decoding all of them is faster.
    if (count === SAMPLE && text.slice(0, end).split("\n").length < 2 * SAMPLE) return decodeLines(text.split("\n"));
    pattern.lastIndex = end;
  }
  if (edge === "last") starts.add(text.lastIndexOf("\n", text.length - 2) + 1);
  return decodeLines([...starts].map((start) => text.slice(start, text.indexOf("\n", start))));
}
