/** Replaces the definition's limits with those that calls set. */
import type { LimitChange, Limits } from "./types.js";

export const LIMIT_NAMES = ["cpus", "memory_mb", "pids"] as const satisfies (keyof Limits)[];

/** Limits that calls set, and the ones that the definition had then; null: none. Absent: unknown. */
export type KeptLimits = Limits & { written?: LimitChange };

/** True for a limit that the definition has changed since a call set another one: the file is newer, so it applies. */
export const isOutdated = (name: keyof Limits, { written }: KeptLimits, definition: Limits): boolean =>
  written?.[name] !== undefined && written[name] !== (definition[name] ?? null);

/** Limits of the definition, with those set by calls in their place unless the definition has changed since. */
export function overrideLimits(definition: Limits, kept: KeptLimits): Limits {
  const limits: Limits = { ...definition };
  for (const name of LIMIT_NAMES)
    if (kept[name] !== undefined && !isOutdated(name, kept, definition)) limits[name] = kept[name];
  return limits;
}

/** The limits to keep after a change. */
export function keepChange(kept: KeptLimits, change: LimitChange, definition: Limits): KeptLimits {
  const next: KeptLimits = { ...kept };
  const written = { ...kept.written };
  for (const name of LIMIT_NAMES) {
    const value = change[name];
    if (value === undefined) continue;
    delete next[name];
    delete written[name];
    if (value === null) continue;
    next[name] = value;
    written[name] = definition[name] ?? null;
  }
  delete next.written;
  return Object.keys(written).length === 0 ? next : { ...next, written };
}
