/**
 * A file's YAML, and two things that its library does for each key or alias by looking at all others: in a large file
 * that took minutes, during which the server did nothing else.
 */
import { type Alias, type Document, isScalar, LineCounter, type Node, parseDocument, visit } from "yaml";
import { StackwardenError } from "../../errors.js";
import { MOST_LEVELS, tooDeepAt } from "./yaml-depth.js";

/** What each alias stands for. Absent: nothing; `around it`: the alias is a part of that, so it would never end. */
export type AliasTargets = ReadonlyMap<Alias, Node | "around it">;

export interface ParsedDocument {
  document: Document;
  lines: LineCounter;
  targets: AliasTargets;
}

/** @throws INVALID_STACK with the line of the first fault */
export function parseYaml(file: string, text: string): ParsedDocument {
  const lines = new LineCounter();
  const refuse = (message: string, at: number): never => {
    const line = text.slice(0, at).split("\n").length;
    throw new StackwardenError("INVALID_STACK", `${file}:${line}: ${message}`, {
      hint: "Correct the YAML.",
      details: { file, line },
    });
  };
  const deep = tooDeepAt(text);
  if (deep !== null) refuse(`nests deeper than ${MOST_LEVELS} levels`, deep);
  const document = parseDocument(text, { lineCounter: lines, version: "1.2", uniqueKeys: false });
  const fault = document.errors[0];
  if (fault !== undefined) refuse(fault.message.split("\n", 1)[0] ?? "", fault.pos[0]);
  const anchors = new Map<string, Node>();
  const targets = new Map<Alias, Node | "around it">();
  const define = (node: Node & { anchor?: string }): void => {
    if (node.anchor !== undefined) anchors.set(node.anchor, node);
  };
  visit(document, {
    // The last anchor of its name above it.
    Alias(_key, alias, path) {
      const target = anchors.get(alias.source);
      if (target !== undefined) targets.set(alias, path.includes(target) ? "around it" : target);
    },
    Scalar: (_key, node) => define(node),
    Seq: (_key, node) => define(node),
    Map(_key, map) {
      define(map);
      const keys = new Set<string>();
      for (const { key } of map.items) {
        if (!isScalar(key)) continue;
        const name = String(key.value);
        if (keys.has(name)) refuse("Map keys must be unique", key.range?.[0] ?? 0);
        keys.add(name);
      }
    },
  });
  return { document, lines, targets };
}
