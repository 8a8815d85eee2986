/** Suggestions for misspelt names. */
import { editDistance } from "./edit-distance.js";

/**
 * Maximum characters of a compared name: computing the distance takes time proportional to the product of both lengths.
 */
const LONGEST = 64;

/** The candidate closest to `name`, or undefined when none is within max(1, length / 3) edits. */
export function nearest(name: string, candidates: readonly string[]): string | undefined {
  if (name.length === 0 || name.length > LONGEST) return undefined;
  const plain = simplified(name);
  let best: string | undefined;
  let bestDistance = Math.max(1, Math.floor(plain.length / 3)) + 1;
  for (const candidate of candidates) {
    const distance = editDistance(plain, simplified(candidate));
    if (distance >= bestDistance) continue;
    best = candidate;
    bestDistance = distance;
  }
  return best;
}

/** Normalises a name: `timeoutSeconds`, `timeout-seconds` and `timeout_seconds` are equal. */
const simplified = (name: string): string => name.toLowerCase().replace(/[^a-z0-9]/g, "");
