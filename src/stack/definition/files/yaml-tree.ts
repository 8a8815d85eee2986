/**
 * Converts a parsed YAML document to a tree. Aliases and merge keys are resolved; `!reset` and `!override` are kept.
 */
import { type Document, isAlias, isMap, isScalar, isSeq, type Node, type Pair } from "yaml";
import type { AliasTargets } from "./document.js";
import { InterpolationError, interpolate } from "./interpolate.js";
import { plainText } from "./plain-scalar.js";
import type { FileOrigin, Tree } from "./tree.js";

/** Maximum entries copied by merge keys, which can expand a small file. */
const MOST_COPIES = 500_000;
const CORRECT = "Correct the expression, or set the variable in .env.";

export interface TreeOptions {
  targets: AliasTargets;
  file: FileOrigin;
  /** Called for each variable that the file uses without a default and nothing sets. */
  unset(name: string): void;
}

type Tag = { tag?: "reset" | "override" };
const tagOf = (node: Node): Tag =>
  node.tag === "!reset" ? { tag: "reset" } : node.tag === "!override" ? { tag: "override" } : {};

/**
 * The name of a key, and whether it is a merge key, written as `<<` or `!!merge <<`; null for a key that is not a
 * scalar.
 */
function keyOf(pair: Pair): { name: string; merge: boolean } | null {
  const { key } = pair;
  if (!isScalar(key)) return null;
  if (typeof key.value === "symbol" || key.tag === "tag:yaml.org,2002:merge") return { name: "<<", merge: true };
  const name = String(key.value);
  return { name, merge: name === "<<" && key.type !== "QUOTE_DOUBLE" && key.type !== "QUOTE_SINGLE" };
}

export function toTree(document: Document, { targets, file, unset }: TreeOptions): Tree {
  const done = new Map<unknown, Tree>();
  let copies = 0;
  const at = (node: unknown): number | null => (node as Node | null)?.range?.[0] ?? null;
  const fault = (node: unknown, message: string, hint: string): Tree => ({
    kind: "scalar",
    file,
    at: at(node),
    value: null,
    fault: { message, hint },
  });

  const text = (node: Node, value: string): Tree => {
    const place = { file, at: at(node), ...tagOf(node) };
    if (!value.includes("$")) return { kind: "scalar", ...place, value };
    try {
      const result = interpolate(value, file.lookup);
      for (const name of result.unset) unset(name);
      return { kind: "scalar", ...place, value: result.text, ...(result.secret ? { secret: true } : {}) };
    } catch (error) {
      if (!(error instanceof InterpolationError)) throw error;
      return { kind: "scalar", ...place, value: null, fault: { message: error.message, hint: CORRECT } };
    }
  };

  const entriesOf = (node: Node & { items: Pair[] }): Map<string, Tree> | Tree => {
    const own = new Map<string, Tree>();
    const merged: Tree[] = [];
    for (const pair of node.items) {
      const key = keyOf(pair);
      if (key === null) return fault(pair.key ?? node, "has a key that is not text", "Write plain keys.");
      const value = convert(pair.value);
      if (key.merge) merged.push(...(value.kind === "list" ? value.items : [value]));
      else own.set(key.name, value);
    }
    for (const source of merged) {
      if (source.kind !== "map") {
        if (source.fault !== undefined) return source;
        if (source.kind === "scalar" && source.value === null) continue;
        return fault(node, "has a merge key `<<` whose value is not a mapping", "Merge mappings only.");
      }
      for (const [name, value] of source.entries) {
        copies += 1;
        if (copies > MOST_COPIES)
          return fault(
            node,
            "the file is too large once its aliases are resolved",
            "Remove nested anchors and aliases.",
          );
        if (!own.has(name)) own.set(name, value);
      }
    }
    return own;
  };

  const make = (node: unknown): Tree => {
    if (isAlias(node)) {
      const target = targets.get(node);
      if (target === "around it")
        return fault(node, `*${node.source} is inside the node that it refers to`, "Remove it.");
      if (target === undefined)
        return fault(
          node,
          `*${node.source} refers to an anchor that is not defined above it`,
          "Define the anchor before the alias.",
        );
      return convert(target);
    }
    if (isScalar(node)) {
      const { value } = node;
      const own = { kind: "scalar", file, at: at(node), ...tagOf(node) } as const;
      if (value === null) return { ...own, value };
      if (typeof value === "boolean") return { ...own, value, source: String(value) };
      const plain = node.type === "PLAIN" && node.tag !== "tag:yaml.org,2002:str" ? plainText(node.source ?? "") : null;
      if (plain !== null) return { ...own, value: Number.isNaN(Number(plain)) ? plain : Number(plain), source: plain };
      if (typeof value === "string") return text(node, value);
      if (typeof value === "number" || typeof value === "bigint")
        return { ...own, value, source: node.source ?? String(value) };
      return fault(node, "has a value that YAML knows and Compose does not", "Write text, a number or a boolean.");
    }
    if (isMap(node)) {
      const entries = entriesOf(node as unknown as Node & { items: Pair[] });
      return entries instanceof Map ? { kind: "map", file, at: at(node), entries, ...tagOf(node as Node) } : entries;
    }
    if (isSeq(node))
      return { kind: "list", file, at: at(node), items: node.items.map(convert), ...tagOf(node as unknown as Node) };
    return { kind: "scalar", file, at: at(node), value: null };
  };

  const convert = (node: unknown): Tree => {
    const converted = done.get(node);
    if (converted !== undefined) return converted;
    const tree = make(node);
    if (typeof node === "object" && node !== null) done.set(node, tree);
    return tree;
  };

  return convert(document.contents);
}
