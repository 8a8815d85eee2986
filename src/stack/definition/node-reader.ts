/**
 * Typed reading of a project's values. An invalid value is recorded as a problem with its file, line and path, and
 * reads as `undefined`, so that one pass finds all problems.
 */

import { nearest } from "../../system/nearest.js";
import type { Lookup } from "./interpolate.js";
import type { Problems } from "./problems.js";
import { below, isNull, MOST_ENTRIES, MOST_LEVELS, type Tree, textOf } from "./tree.js";

/** State shared by all files of a project. */
export interface ReadContext {
  problems: Problems;
  /** The project's variables. An included file has additional ones. */
  variables: Lookup;
  /** Remaining number of values that may be read. The bound limits files that aliases expand. */
  budget: { left: number };
}

const NODE_BUDGET = 50_000;
export const nodeBudget = () => ({ left: NODE_BUDGET });

/** Maximum items of a list, far above real files. Each one costs the reader time and memory. */
const MOST_ITEMS = 1000;

/** Maximum number of valid keys that an error lists. */
const LISTED_KEYS = 30;

function unknownKeyHint(key: string, names: readonly string[]): string {
  const near = nearest(key, names);
  if (near !== undefined) return `Did you mean ${near}?`;
  return names.length > LISTED_KEYS
    ? "Remove it, or correct its name: docs/COMPOSE.md lists the valid keys."
    : `Remove it, or correct its name. Valid keys: ${[...new Set(names)].join(", ")}.`;
}

export class NodeReader {
  constructor(
    readonly context: ReadContext,
    readonly tree: Tree,
    readonly path: string,
    /** Nesting depth; 0 for the root. */
    private readonly depth = 0,
  ) {
    context.budget.left -= 1;
    if (tree.fault !== undefined) this.invalid(tree.fault.message, tree.fault.hint);
    if (depth === MOST_LEVELS) this.invalid(`nests deeper than ${MOST_LEVELS} levels`, "Write it with fewer levels.");
    if (context.budget.left === 0)
      this.invalid("the file is too large once its aliases are resolved", "Remove nested anchors and aliases.");
  }

  /** True when reading stops because the file is too large or nested too deeply. */
  get exhausted(): boolean {
    return this.context.budget.left <= 0 || this.depth >= MOST_LEVELS;
  }

  invalid(message: string, hint: string): undefined {
    this.context.problems.invalid(this.tree, this.path, message, hint);
    return undefined;
  }

  policy(message: string, hint: string): undefined {
    this.context.problems.policy(this.tree, this.path, message, hint);
    return undefined;
  }

  /** True for `key:` without a value. */
  get empty(): boolean {
    return isNull(this.tree);
  }

  get isMap(): boolean {
    return this.tree.kind === "map";
  }

  get isList(): boolean {
    return this.tree.kind === "list";
  }

  get secret(): boolean {
    return this.tree.kind === "scalar" && this.tree.secret === true;
  }

  /** Folder to which relative paths of the value's file refer. */
  get folder(): string {
    return this.tree.file.folder;
  }

  /** The variables of the value's file. */
  get lookup(): Lookup {
    return this.tree.file.lookup;
  }

  /** Reads text. Numbers and booleans are converted to text as Compose prints them. */
  string(what = "text"): string | undefined {
    if (this.tree.fault !== undefined) return undefined;
    const text = textOf(this.tree);
    if (text === undefined) return this.invalid(`must be ${what}`, `Write ${what}.`);
    return text.includes("\0") ? this.invalid("contains a NUL character", "Remove it.") : text;
  }

  boolean(): boolean | undefined {
    if (this.tree.fault !== undefined) return undefined;
    const text = textOf(this.tree)?.toLowerCase();
    if (text !== undefined && /^(?:true|yes|on|y|1|t)$/.test(text)) return true;
    if (text !== undefined && /^(?:false|no|off|n|0|f)$/.test(text)) return false;
    return this.invalid("must be true or false", "Write true or false.");
  }

  /** Reads a finite number from `least` to `most`, both inclusive. */
  number(least: number, most: number, whole = true): number | undefined {
    if (this.tree.fault !== undefined) return undefined;
    const text = textOf(this.tree) ?? "";
    const value = /^[+-]?\d+(\.\d+)?(?:e[+-]?\d+)?$/.test(text) ? Number(text) : Number.NaN;
    if (value >= least && value <= most && (!whole || Number.isInteger(value))) return value;
    const range = `a ${whole ? "whole " : ""}number from ${least} to ${most}`;
    return this.invalid(`must be ${range}`, `Write ${range}.`);
  }

  oneOf<T extends string>(values: readonly T[]): T | undefined {
    if (this.tree.fault !== undefined) return undefined;
    const text = textOf(this.tree);
    const match = values.find((value) => value === text);
    if (match !== undefined) return match;
    return this.invalid(`must be one of: ${values.join(", ")}`, `Write one of: ${values.join(", ")}.`);
  }

  list(): NodeReader[] {
    if (this.empty || this.exhausted) return [];
    if (this.tree.kind !== "list") {
      const text = textOf(this.tree);
      const example =
        text === undefined
          ? "Write each entry with a dash."
          : `Write it as a list: [${JSON.stringify(text.slice(0, 64))}].`;
      this.invalid("must be a list", example);
      return [];
    }
    if (this.#tooMany(this.tree.items.length, MOST_ITEMS)) return [];
    const readers: NodeReader[] = [];
    for (const [index, item] of this.tree.items.entries()) {
      if (this.exhausted) break;
      if (item.tag !== "reset") readers.push(this.#inside(item, `${this.path}[${index}]`));
    }
    return readers;
  }

  #tooMany(count: number, most: number): boolean {
    if (count <= most) return false;
    this.invalid(`has ${count} entries, more than ${most}`, `Write at most ${most} entries.`);
    return true;
  }

  /** Reads a list's items. A single value counts as a list of one. */
  listOrOne(): NodeReader[] {
    return this.isList || this.empty ? this.list() : [this];
  }

  strings(what = "text"): string[] {
    return this.list().flatMap((item) => item.string(what) ?? []);
  }

  /** Reads all entries of a mapping. An empty value has none. */
  entries(): [string, NodeReader][] {
    if (this.empty || this.exhausted) return [];
    if (this.tree.kind !== "map") {
      this.invalid(
        "must be a mapping",
        this.isList ? "Write `name: value` pairs, without a dash." : "Write `name: value` pairs.",
      );
      return [];
    }
    if (this.#tooMany([...this.tree.entries].length, MOST_ENTRIES)) return [];
    const entries: [string, NodeReader][] = [];
    for (const [key, value] of this.tree.entries) {
      if (this.exhausted) break;
      if (value.tag !== "reset") entries.push([key, this.#inside(value, below(this.path, key))]);
    }
    return entries;
  }

  /**
   * Reads the known keys of a mapping. Other keys are refused, except `x-…`.
   * @param hintFor the hint for an unknown key; undefined for the usual one
   */
  fields<K extends string>(
    names: readonly K[],
    hintFor: (value: NodeReader) => string | undefined = () => undefined,
  ): Partial<Record<K, NodeReader>> {
    const result: Partial<Record<K, NodeReader>> = {};
    for (const [key, value] of this.entries()) {
      if ((names as readonly string[]).includes(key)) result[key as K] = value;
      else if (!key.startsWith("x-"))
        value.invalid(
          "is not a key that Compose has here",
          hintFor(value) ??
            unknownKeyHint(
              key,
              names.filter((name) => !name.startsWith("x-")),
            ),
        );
    }
    return result;
  }

  /** Reports the faults of all nested values. Used for values that are accepted without further reading. */
  check(): void {
    if (this.isMap) for (const [, value] of this.entries()) value.check();
    else if (this.isList) for (const item of this.list()) item.check();
  }

  #inside(tree: Tree, path: string): NodeReader {
    return new NodeReader(this.context, tree, path, this.depth + 1);
  }
}

/** True for a reader that is present and has a value. */
export const hasValue = (reader: NodeReader | undefined): reader is NodeReader => reader !== undefined && !reader.empty;
