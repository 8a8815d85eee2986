/** State shared by the files of one project while they are merged into one tree. */
import type { Lookup } from "./interpolate.js";
import { type Budget, mergeBudget } from "./merge.js";
import type { Problems, Where } from "./problems.js";
import type { FileReader } from "./project-files.js";
import type { FileOrigin, Tree } from "./tree.js";
import { toTree } from "./yaml-tree.js";

export interface ModelContext {
  files: FileReader;
  problems: Problems;
  /** Real path of the project's folder. Files outside it are not read. */
  project: string;
  unset(name: string): void;
  budget: Budget;
}

export const modelContext = (
  files: FileReader,
  problems: Problems,
  project: string,
  unset: (name: string) => void,
): ModelContext => ({
  files,
  problems,
  project,
  unset,
  budget: mergeBudget(),
});

/** Reads one file's documents as trees. Returns undefined and records a problem when the file cannot be read. */
export function fileTrees(
  context: ModelContext,
  path: string,
  place: { folder: string; lookup: Lookup },
  where?: Where,
): Tree[] | undefined {
  const file = context.files.open(path, context.problems, where);
  if (file === undefined) return undefined;
  const origin: FileOrigin = { path, lines: file.lines, ...place };
  return file.documents.map(({ document, targets }) =>
    toTree(document, { targets, file: origin, unset: context.unset }),
  );
}
