/**
 * Typed reading of a project's values. A wrong value is recorded with its file, line and path and read as `undefined`,
 * so that one pass finds everything that is wrong.
 */
import type { Lookup } from "./interpolate.js";
import type { Problems } from "./problems.js";
import { isNull, type Tree, textOf } from "./tree.js";
import { MOST_LEVELS } from "./yaml-depth.js";

/** What all files of a project share. */
export interface ReadContext {
  problems: Problems;
  /** The project's own variables; an included file has further ones. */
  variables: Lookup;
  /** Values that may still be read: aliases must not make a small file a large one. */
  budget: { left: number };
}

const NODE_BUDGET = 50_000;
export const nodeBudget = () => ({ left: NODE_BUDGET });

/** `name` below `path`, quoted where dots would mislead. */
const below = (path: string, name: string): string => {
  const part = /^[A-Za-z0-9_-]+$/.test(name) ? name : JSON.stringify(name);
  return path === "" ? part : `${path}.${part}`;
};

/** Most entries of a list and of a mapping, far above what people write: each costs the reader time and memory. */
export const MOST_ITEMS = 1000;
export const MOST_ENTRIES = 10_000;

export class NodeReader {
  constructor(
    readonly context: ReadContext,
    readonly tree: Tree,
    readonly path: string,
    /** Levels above it. */
    private readonly depth = 0,
  ) {
    context.budget.left -= 1;
    if (tree.fault !== undefined) this.invalid(tree.fault.message, tree.fault.hint);
    if (depth === MOST_LEVELS) this.invalid(`nests deeper than ${MOST_LEVELS} levels`, "Write it with fewer levels.");
    if (context.budget.left === 0)
      this.invalid("the file is too large once its aliases are resolved", "Remove nested anchors and aliases.");
  }

  /** Nothing more is read of it: the file has become too large, or too deep. */
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

  /** Absent, or `key:` without a value. */
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

  /** Where relative paths of its file begin. */
  get folder(): string {
    return this.tree.file.folder;
  }

  /** The variables of its file. */
  get lookup(): Lookup {
    return this.tree.file.lookup;
  }

  /** Text, or a number or boolean as Compose prints it. */
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

  /** A finite number in the range, both ends included. */
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
      this.invalid("must be a list", "Write a list.");
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

  /** A list's items; a single value counts as a list of one. */
  listOrOne(): NodeReader[] {
    return this.isList || this.empty ? this.list() : [this];
  }

  strings(what = "text"): string[] {
    return this.list().flatMap((item) => item.string(what) ?? []);
  }

  /** All entries of a mapping. Absent: none. */
  entries(): [string, NodeReader][] {
    if (this.empty || this.exhausted) return [];
    if (this.tree.kind !== "map") {
      this.invalid("must be a mapping", "Write `name: value` pairs.");
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
   * A mapping's known keys. Others are refused, but for `x-…`; `refused` explains keys that Compose
   * knows and stackwarden does not take.
   */
  fields<K extends string>(known: readonly K[], refused: Record<string, string> = {}): Partial<Record<K, NodeReader>> {
    const result: Partial<Record<K, NodeReader>> = {};
    for (const [key, value] of this.entries()) {
      if ((known as readonly string[]).includes(key)) result[key as K] = value;
      else if (Object.hasOwn(refused, key)) value.invalid("is not supported", refused[key] as string);
      else if (!key.startsWith("x-"))
        value.invalid(
          "is not a key that Compose has here",
          `Remove it or correct its name. Valid keys: ${known.filter((name) => !name.startsWith("x-")).join(", ")}.`,
        );
    }
    return result;
  }

  /** Reports the faults of everything below, for values that are accepted without being read further. */
  check(): void {
    if (this.isMap) for (const [, value] of this.entries()) value.check();
    else if (this.isList) for (const item of this.list()) item.check();
  }

  #inside(tree: Tree, path: string): NodeReader {
    return new NodeReader(this.context, tree, path, this.depth + 1);
  }
}

/** A reader that is present and has a value. */
export const given = (reader: NodeReader | undefined): reader is NodeReader => reader !== undefined && !reader.empty;
