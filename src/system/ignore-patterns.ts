/**
 * Bounds the time that the patterns of a project's ignore file take. The libraries that match them use regular
 * expressions, which try every way to divide a name between the wildcards: `*a*a*a*a*ab` takes minutes.
 */

/** Maximum estimated steps for one path: about 10 ms. */
const MOST_STEPS = 10_000_000;
const NAME_LENGTH = 255;
/** Depth of folders up to which the estimate holds. */
export const MOST_DEPTH = 64;
const MOST_PATTERNS = 2000;

/** `*`, `?*`, and what a library may read as a repetition of a regular expression. */
const WILDCARDS = /[*+]+|\{(?=\d)/g;

function steps(pattern: string): number {
  let product = 1;
  for (const segment of pattern.split("/")) {
    if (segment.includes("**")) product *= MOST_DEPTH;
    const wildcards = segment.match(WILDCARDS)?.length ?? 0;
    if (wildcards > 1) product *= NAME_LENGTH ** wildcards;
  }
  return product;
}

/** Whether a library could compile the pattern into a group that repeats a repetition. */
const repeatsGroups = (pattern: string): boolean => /\(.*[+{].*\)[+{]/.test(pattern);

export interface BoundedPatterns {
  /** Lines whose matching time is bounded. */
  text: string;
  /** Patterns that were left out. */
  costly: string[];
}

export function boundedPatterns(text: string): BoundedPatterns {
  const kept: string[] = [];
  const costly: string[] = [];
  for (const line of text.split(/\r?\n/)) {
    const pattern = line.trim();
    if (pattern === "" || pattern.startsWith("#")) continue;
    const isBounded = pattern.length <= 1024 && steps(pattern) <= MOST_STEPS && !repeatsGroups(pattern);
    if (isBounded && kept.length < MOST_PATTERNS) kept.push(line);
    else costly.push(pattern);
  }
  return { text: kept.join("\n"), costly };
}
