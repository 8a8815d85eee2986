/** Selects the lines of a query by instance, stream, time and text. */
import { StackwardenError } from "../../errors.js";
import { needlesOf } from "./raw-search.js";
import type { WantedSegment } from "./spool.js";
import type { StoredLine } from "./stored-line.js";
import type { LogQuery } from "./types.js";

/** Maximum characters of an expression, because the compiled program grows with its length. */
const LONGEST_GREP = 1000;

export interface LineFilter {
  /** False when every line matches. */
  readonly narrow: boolean;
  /** True when a line belongs to the requested stream, time and instance. */
  inScope(line: StoredLine, generation: number | undefined): boolean;
  /** True when a line contains the requested text. */
  test(text: string): boolean;
  /** Texts of the stored form; every matching line contains one of them. Undefined when unknown. */
  readonly needles: readonly string[] | undefined;
  /** True when a file may hold a line that matches. */
  segmentFilter(generation: number | undefined): WantedSegment;
}

/**
 * @param name name of the field, for errors
 * @throws INVALID_INPUT for an expression that is too long or that RE2 refuses
 */
export async function textTest(
  name: "grep" | "wait_for",
  grep: string | undefined,
  regex: boolean | undefined,
): Promise<((text: string) => boolean) | undefined> {
  if (grep === undefined || grep === "") return undefined;
  if (grep.length > LONGEST_GREP) {
    throw new StackwardenError("INVALID_INPUT", `${name}: expected at most 1,000 characters, got ${grep.length}.`, {
      hint: "Use a shorter expression.",
    });
  }
  if (regex !== true) {
    const literal = grep.toLowerCase();
    return (text) => text.toLowerCase().includes(literal);
  }
  // Load the module on demand: it is large, and most sessions never use it.
  const { RE2JS } = await import("re2js");
  try {
    const expression = RE2JS.compile(grep);
    return (text) => expression.test(text);
  } catch (error) {
    throw new StackwardenError("INVALID_INPUT", `${name} is not a valid RE2 expression: ${(error as Error).message}`, {
      hint: "RE2 has no lookaround and no backreferences; leave regex out to search for the literal text.",
      cause: error,
    });
  }
}

/** @throws INVALID_INPUT for an expression that RE2 refuses */
export async function compileFilter(query: LogQuery): Promise<LineFilter> {
  const { sinceMs = Number.NEGATIVE_INFINITY, untilMs = Number.POSITIVE_INFINITY, stream } = query;
  const test = await textTest("grep", query.grep, query.regex);
  const timed = query.sinceMs !== undefined || query.untilMs !== undefined;
  const narrow =
    test !== undefined || stream !== undefined || timed || query.previous === true || query.minLevel !== undefined;
  return {
    narrow,
    inScope: (line, generation) =>
      (generation === undefined || line.generation === generation) &&
      (stream === undefined ? line.stream !== "install" : line.stream === stream) &&
      line.timeMs >= sinceMs &&
      line.timeMs <= untilMs,
    test: test ?? (() => true),
    needles: query.grep ? needlesOf(query.grep, query.regex === true) : undefined,
    segmentFilter: (generation) => (segment) =>
      segment.lastTimeMs >= sinceMs &&
      segment.firstTimeMs <= untilMs &&
      (generation === undefined || (segment.minGeneration <= generation && generation <= segment.maxGeneration)),
  };
}
