/** Reads stackwarden.yaml with the line of every value, so that an error can point at it. */
import { readFile } from "node:fs/promises";
import { dirname } from "node:path";
import { StackwardenError } from "../errors.js";

const MAX_BYTES = 256 * 1024;

export interface ConfigFile {
  path: string;
  /** Relative paths in the file start here. */
  folder: string;
  values: Record<string, unknown>;
  /** `file:line` of the value at a path, or of its nearest ancestor. */
  where(path: readonly PropertyKey[]): string;
}

/**
 * @returns null when the file does not exist
 * @throws StackwardenError INVALID_INPUT when it cannot be read or does not contain a YAML mapping
 */
export async function readConfigFile(path: string): Promise<ConfigFile | null> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes((error as NodeJS.ErrnoException).code ?? "")) return null;
    throw invalid(`${path} cannot be read: ${(error as Error).message}`, error);
  }
  if (text.length > MAX_BYTES) throw invalid(`${path} is larger than ${MAX_BYTES / 1024} KiB.`);
  const { LineCounter, parseDocument, isNode, exceededLimit } = await import("./yaml.js");
  const exceeded = exceededLimit(text);
  if (exceeded !== null) throw invalid(`${path}${exceeded.path && `: ${exceeded.path}`} ${exceeded.message}.`);
  const counter = new LineCounter();
  const document = parseDocument(text, { lineCounter: counter, uniqueKeys: true, prettyErrors: false });
  const [problem] = document.errors;
  if (problem) throw invalid(`${path}:${counter.linePos(problem.pos[0]).line}: ${problem.message}`, problem);
  const values: unknown = document.toJS({ maxAliasCount: 10 }) ?? {};
  if (typeof values !== "object" || Array.isArray(values)) {
    throw invalid(`${path}:1: the file must be a mapping of settings.`);
  }
  const where = (keys: readonly PropertyKey[]): string => {
    for (let length = keys.length; length > 0; length -= 1) {
      const node = document.getIn(keys.slice(0, length), true);
      if (isNode(node) && node.range) return `${path}:${counter.linePos(node.range[0]).line}`;
    }
    return path;
  };
  return { path, folder: dirname(path), values: values as Record<string, unknown>, where };
}

function invalid(message: string, cause?: unknown): StackwardenError {
  return new StackwardenError("INVALID_INPUT", message, {
    hint: "Fix the configuration file; docs/OPERATIONS.md lists its settings.",
    cause,
  });
}
