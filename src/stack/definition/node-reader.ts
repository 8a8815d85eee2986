/**
 * Typed reading of YAML nodes. A wrong value is recorded with its line and path and read as
 * `undefined`, so that one pass finds everything that is wrong.
 */
import { isAlias, isMap, isScalar, isSeq, type Node } from "yaml";
import type { AliasTargets } from "./document.js";
import type { Problems } from "./problems.js";
import { MOST_LEVELS } from "./yaml-depth.js";

/** What the whole file shares. */
export interface ReadContext {
  targets: AliasTargets;
  problems: Problems;
  /** Scalars whose text came from a secret. */
  secretNodes: WeakSet<object>;
  /** Nodes that may still be read: aliases must not make a small file a large one. */
  budget: { left: number };
}

const NODE_BUDGET = 50_000;
export const nodeBudget = () => ({ left: NODE_BUDGET });

/** `name` below `path`, quoted where dots would mislead. */
const below = (path: string, name: string): string => {
  const part = /^[A-Za-z0-9_-]+$/.test(name) ? name : JSON.stringify(name);
  return path === "" ? part : `${path}.${part}`;
};

export class NodeReader {
  readonly node: unknown;

  constructor(
    readonly context: ReadContext,
    node: unknown,
    readonly path: string,
    /** Levels above it, also of anchors that are merged into each other. */
    private readonly depth = 0,
  ) {
    context.budget.left -= 1;
    let resolved = node;
    if (isAlias(node)) {
      const target = context.targets.get(node);
      if (target === "around it")
        context.problems.invalid(node, path, `*${node.source} stands inside of what it refers to`, "Remove it.");
      else if (target === undefined)
        context.problems.invalid(
          node,
          path,
          `*${node.source} refers to an anchor that does not stand above it`,
          "Define it before.",
        );
      resolved = target === "around it" ? undefined : target;
    }
    this.node = resolved;
    if (depth === MOST_LEVELS) this.invalid(`nests deeper than ${MOST_LEVELS} levels`, "Write it with fewer levels.");
    if (context.budget.left === 0)
      this.invalid("the file is too large once its aliases are resolved", "Remove nested anchors and aliases.");
  }

  /** Nothing more is read of it: the file has become too large, or too deep. */
  get exhausted(): boolean {
    return this.context.budget.left <= 0 || this.depth >= MOST_LEVELS;
  }

  invalid(message: string, hint: string): undefined {
    this.context.problems.invalid(this.node, this.path, message, hint);
    return undefined;
  }

  policy(message: string, hint: string): undefined {
    this.context.problems.policy(this.node, this.path, message, hint);
    return undefined;
  }

  /** Absent, or `key:` without a value. */
  get empty(): boolean {
    return this.node === undefined || this.node === null || (isScalar(this.node) && this.node.value === null);
  }

  get isMap(): boolean {
    return isMap(this.node);
  }

  get isList(): boolean {
    return isSeq(this.node);
  }

  get secret(): boolean {
    return typeof this.node === "object" && this.node !== null && this.context.secretNodes.has(this.node);
  }

  /** Text, or a number or boolean as it was written. */
  string(what = "text"): string | undefined {
    if (isScalar(this.node)) {
      const { value } = this.node;
      if (typeof value === "string") {
        if (value.includes("\0")) return this.invalid("contains a NUL character", "Remove it.");
        return value;
      }
      if (typeof value === "number" || typeof value === "boolean" || typeof value === "bigint")
        return this.node.source ?? String(value);
    }
    return this.invalid(`must be ${what}`, `Write ${what}.`);
  }

  boolean(): boolean | undefined {
    if (isScalar(this.node)) {
      if (typeof this.node.value === "boolean") return this.node.value;
      const text = String(this.node.value).toLowerCase();
      if (text === "true" || text === "false") return text === "true";
    }
    return this.invalid("must be true or false", "Write true or false.");
  }

  /** A finite number in the range, both ends included. */
  number(least: number, most: number, whole = true): number | undefined {
    const text = isScalar(this.node) ? String(this.node.value) : "";
    const value = /^[+-]?\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
    if (value >= least && value <= most && (!whole || Number.isInteger(value))) return value;
    const range = `a ${whole ? "whole " : ""}number from ${least} to ${most}`;
    return this.invalid(`must be ${range}`, `Write ${range}.`);
  }

  oneOf<T extends string>(values: readonly T[]): T | undefined {
    const text = isScalar(this.node) ? String(this.node.value) : null;
    const found = values.find((value) => value === text);
    if (found !== undefined) return found;
    return this.invalid(`must be one of: ${values.join(", ")}`, `Write one of: ${values.join(", ")}.`);
  }

  list(): NodeReader[] {
    if (this.empty || this.exhausted) return [];
    if (!isSeq(this.node)) {
      this.invalid("must be a list", "Write a list.");
      return [];
    }
    return this.node.items.map((item, index) => this.#inside(item, `${this.path}[${index}]`));
  }

  strings(what = "text"): string[] {
    return this.list().flatMap((item) => item.string(what) ?? []);
  }

  /** All entries of a mapping; `<<` is merged in (own keys win). Absent: none. */
  entries(): [string, NodeReader][] {
    if (this.empty || this.exhausted) return [];
    if (!isMap(this.node)) {
      this.invalid("must be a mapping", "Write `name: value` pairs.");
      return [];
    }
    const found = new Map<string, NodeReader>();
    const merged: NodeReader[] = [];
    for (const pair of this.node.items) {
      const key = isScalar(pair.key) ? String(pair.key.value) : null;
      if (key === null) this.invalid("has a key that is not text", "Write plain keys.");
      else if (key === "<<") merged.push(this.#inside(pair.value, below(this.path, "<<")));
      else found.set(key, this.#inside(pair.value, below(this.path, key)));
    }
    for (const source of merged.flatMap((one) => (one.isList ? one.list() : [one])))
      for (const [key, value] of source.entries()) if (!found.has(key)) found.set(key, value);
    return [...found];
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
          "is not a key that is known here",
          `Remove it or correct its name. Known: ${known.filter((name) => !name.startsWith("x-")).join(", ")}.`,
        );
    }
    return result;
  }

  child(node: Node | null | undefined, name: string): NodeReader {
    return this.#inside(node, below(this.path, name));
  }

  #inside(node: unknown, path: string): NodeReader {
    return new NodeReader(this.context, node, path, this.depth + 1);
  }
}

/** A reader that is present and has a value. */
export const given = (reader: NodeReader | undefined): reader is NodeReader => reader !== undefined && !reader.empty;
