/** Documents of the stackwarden package as MCP resources. */
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { ReadResourceResult, Resource } from "@modelcontextprotocol/sdk/types.js";
import { resourceNotFound } from "./errors.js";

const MARKDOWN = "text/markdown";

export const DOCUMENTS: readonly (Resource & { file: string })[] = [
  {
    uri: "stackwarden://docs/compose",
    name: "compose rules",
    title: "Compose files",
    description:
      "Rules of compose files: which attributes work on which runtime, what is refused, x-local, x-probe and other extensions.",
    mimeType: MARKDOWN,
    file: "docs/COMPOSE.md",
  },
];

/** `docs/` is beside `dist/` in the package and beside `src/` in the sources. */
function pathOf(file: string): string | null {
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    const path = join(folder, file);
    if (existsSync(path)) return path;
    if (folder === dirname(folder)) return null;
  }
}

export const listDocuments = (): Resource[] => DOCUMENTS.map(({ file: _file, ...resource }) => resource);

export const isDocument = (uri: string): boolean => DOCUMENTS.some((document) => document.uri === uri);

/** @throws "resource not found" when the package lacks the file */
export async function readDocument(uri: string): Promise<ReadResourceResult> {
  const document = DOCUMENTS.find((one) => one.uri === uri);
  const path = document === undefined ? null : pathOf(document.file);
  if (path === null) throw resourceNotFound(uri, "The document is not part of this installation.");
  return { contents: [{ uri, mimeType: MARKDOWN, text: await readFile(path, "utf8") }] };
}
