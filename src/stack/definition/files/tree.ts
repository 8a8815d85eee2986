/**
 * A compose file's values after aliases and merge keys are resolved, each with its file and position. Files are merged
 * into one tree. Every value keeps its origin, which determines its relative paths, its variables and the location of
 * its problems.
 */
import type { LineCounter } from "yaml";
import type { Lookup } from "./interpolate.js";

/** Maximum nesting depth: far above real files, and far below a stack overflow. */
export const MOST_LEVELS = 100;
/** Maximum entries of a list or mapping of a file, far above real ones. Each one costs the reader time and memory. */
export const MOST_ENTRIES = 10_000;

/** The path of `name` below `path`. A name with special characters is quoted. */
export const below = (path: string, name: string): string => {
  const part = /^[A-Za-z0-9_-]+$/.test(name) ? name : JSON.stringify(name);
  return path === "" ? part : `${path}.${part}`;
};

/** One reading of one compose file. */
export interface FileOrigin {
  /** Absolute path, or `built-in:commandcenter`. */
  readonly path: string;
  readonly lines: LineCounter | null;
  /** Folder to which the file's relative paths refer. */
  readonly folder: string;
  /** The file's variables. */
  readonly lookup: Lookup;
}

interface Place {
  readonly file: FileOrigin;
  /** Offset in the file's text. */
  readonly at: number | null;
  /** `!reset`: the attribute is removed. `!override`: it replaces what earlier files say instead of being merged. */
  readonly tag?: "reset" | "override";
  /** Why the value cannot be used. The code that reads the value reports the problem. */
  readonly fault?: { message: string; hint: string };
}

export interface Scalar extends Place {
  readonly kind: "scalar";
  readonly value: string | number | boolean | bigint | null;
  /** The text that Compose prints for an unquoted number, boolean or date. */
  readonly source?: string;
  /** True when the value includes a secret. */
  readonly secret?: boolean;
}

export interface Mapping extends Place {
  readonly kind: "map";
  readonly entries: ReadonlyMap<string, Tree>;
}

export interface Sequence extends Place {
  readonly kind: "list";
  readonly items: readonly Tree[];
}

export type Tree = Scalar | Mapping | Sequence;

export const scalar = (like: Tree, value: Scalar["value"]): Scalar => ({
  kind: "scalar",
  file: like.file,
  at: like.at,
  value,
  ...(like.kind === "scalar" && like.secret ? { secret: true } : {}),
});

export const mapping = (like: Tree, entries: ReadonlyMap<string, Tree>): Mapping => ({
  kind: "map",
  file: like.file,
  at: like.at,
  entries,
  ...(like.tag === undefined ? {} : { tag: like.tag }),
});

export const sequence = (like: Tree, items: readonly Tree[]): Sequence => ({
  kind: "list",
  file: like.file,
  at: like.at,
  items,
  ...(like.tag === undefined ? {} : { tag: like.tag }),
});

export const isNull = (tree: Tree | undefined): boolean =>
  tree === undefined || tree.tag === "reset" || (tree.kind === "scalar" && tree.value === null);

/** The value of a mapping's key; undefined when the key is absent or `tree` is not a mapping. */
export const entry = (tree: Tree | undefined, key: string): Tree | undefined =>
  tree?.kind === "map" ? tree.entries.get(key) : undefined;

/** A scalar's text as Compose prints it; undefined for lists, mappings, null and reset values. */
export function textOf(tree: Tree | undefined): string | undefined {
  if (tree?.kind !== "scalar" || tree.value === null || tree.tag === "reset") return undefined;
  return typeof tree.value === "string" ? tree.value : (tree.source ?? String(tree.value));
}

/** Line number, from 1; null when the value has no position in a file. */
export const lineOf = ({ file, at }: Tree): number | null =>
  at === null || file.lines === null ? null : file.lines.linePos(at).line;

/**
 * Compares two values, regardless of their files. Values with more than 100,000 parts count as different, because
 * aliases can expand a small file.
 */
export function sameTree(one: Tree, other: Tree, budget = { left: 100_000 }): boolean {
  budget.left -= 1;
  if (one === other) return true;
  if (budget.left < 0 || one.kind !== other.kind) return false;
  if (one.kind === "scalar") return one.value === (other as typeof one).value;
  if (one.kind === "list") {
    const { items } = other as typeof one;
    return (
      one.items.length === items.length && one.items.every((item, at) => sameTree(item, items[at] as Tree, budget))
    );
  }
  const { entries } = other as typeof one;
  return (
    one.entries.size === entries.size &&
    [...one.entries].every(([key, value]) => {
      const match = entries.get(key);
      return match !== undefined && sameTree(value, match, budget);
    })
  );
}
