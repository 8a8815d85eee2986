/**
 * Parses a file's YAML. Resolving aliases and detecting duplicate keys are done here, because the YAML library compares
 * each one with all others: in a large file that blocked the server for minutes.
 */
import { type Alias, Composer, type Document, isScalar, LineCounter, type Node, visit } from "yaml";
import { repeatedKey, type YamlFault, yamlFault } from "./yaml-fault.js";
import { boundedTokens } from "./yaml-limits.js";

/**
 * Target node of each alias. Absent: the anchor does not exist. `around it`: the target contains the alias, so
 * resolving it would never end.
 */
export type AliasTargets = ReadonlyMap<Alias, Node | "around it">;

export interface ParsedFile {
  /** Separated by `---`; Compose merges them in order. */
  documents: { document: Document; targets: AliasTargets }[];
  lines: LineCounter;
  /** The first syntax error, or the limit that the text exceeds; `documents` is empty then. */
  fault: (YamlFault & { line: number; path: string }) | null;
}

interface Fault extends YamlFault {
  at: number;
  /** Path of the value. Default: the file. */
  path?: string;
}

/** Targets of the aliases, and the first key that a mapping has twice. */
function scan(document: Document): { targets: AliasTargets; fault: Fault | null } {
  const anchors = new Map<string, Node>();
  const targets = new Map<Alias, Node | "around it">();
  let fault: Fault | null = null;
  const define = (node: Node & { anchor?: string }): void => {
    if (node.anchor !== undefined) anchors.set(node.anchor, node);
  };
  visit(document, {
    // An alias refers to the last anchor with its name before it.
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
        if (keys.has(name)) fault ??= { ...repeatedKey(name), at: key.range?.[0] ?? 0 };
        keys.add(name);
      }
    },
  });
  return { targets, fault };
}

export function parseYaml(text: string): ParsedFile {
  const lines = new LineCounter();
  const refuse = ({ message, hint, at, path = "" }: Fault): ParsedFile => ({
    documents: [],
    lines,
    fault: { message, hint, line: text.slice(0, at).split("\n").length, path },
  });
  const tokens = boundedTokens(text, lines.addNewLine);
  if (!Array.isArray(tokens)) return refuse(tokens);
  const composer = new Composer({ version: "1.2", uniqueKeys: false, logLevel: "silent" });
  const documents: ParsedFile["documents"] = [];
  for (const document of composer.compose(tokens)) {
    const [error] = document.errors;
    if (error !== undefined) return refuse({ ...yamlFault(error.message), at: error.pos[0] });
    const { targets, fault } = scan(document);
    if (fault !== null) return refuse(fault);
    documents.push({ document, targets });
  }
  return { documents, lines, fault: null };
}
