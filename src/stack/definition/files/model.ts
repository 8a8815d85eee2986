/**
 * Reads a project's files into one tree, in Compose's order: for each file, resolve `include`, then `extends`, then
 * merge.
 */
import { dirname, join, resolve } from "node:path";
import { statBeneath, UnsafePathError } from "../../../system/read-regular-file.js";
import { EnvFileError, readEnvFile } from "./env-file.js";
import { resolveExtends } from "./extends.js";
import type { Lookup, Variable } from "./interpolate.js";
import { merge } from "./merge.js";
import { fileTrees, type ModelContext } from "./model-context.js";
import { entry, type FileOrigin, isNull, type Mapping, mapping, sameTree, type Tree, textOf } from "./tree.js";

interface Part {
  /** Absolute paths. */
  files: readonly string[];
  /** Folder to which relative paths refer. */
  folder: string;
  lookup: Lookup;
  /** The chain of files whose `include` leads to these files. */
  including: readonly string[];
}

const SECTIONS = ["services", "volumes", "networks", "secrets", "configs", "models", "jobs"];
const emptyMap = (like: Tree): Mapping => mapping(like, new Map());

export function loadModel(context: ModelContext, part: Part): Tree {
  const nothing: FileOrigin = { path: part.files[0] ?? "", lines: null, folder: part.folder, lookup: part.lookup };
  let model: Tree = { kind: "map", file: nothing, at: null, entries: new Map() };
  for (const path of part.files) {
    for (const tree of fileTrees(context, path, part) ?? []) {
      if (isNull(tree) && tree.fault === undefined) continue;
      if (tree.kind !== "map") {
        const { message, hint } = tree.fault ?? { message: "must be a mapping", hint: "Write `services:` and so on." };
        context.problems.invalid(tree, "", message, hint);
        continue;
      }
      const whole = withIncludes(context, part, tree, [...part.including, path]);
      model = merge(model, resolveExtends(context, whole, part.folder, path), [], context.budget);
    }
  }
  return model;
}

/** Merges included files below the file's own resources, which take precedence. */
function withIncludes(context: ModelContext, part: Part, tree: Mapping, including: readonly string[]): Mapping {
  const include = tree.entries.get("include");
  if (include === undefined) return tree;
  const entries = new Map(tree.entries);
  entries.delete("include");
  if (isNull(include)) return mapping(tree, entries);
  if (include.kind !== "list") {
    context.problems.invalid(include, "include", "must be a list", "Write a list of paths.");
    return mapping(tree, entries);
  }
  for (const [index, item] of include.items.entries()) {
    const imported = loadInclude(context, part, item, `include[${index}]`, including);
    if (imported === undefined) continue;
    for (const section of SECTIONS) {
      const from = imported.kind === "map" ? imported.entries.get(section) : undefined;
      if (from?.kind !== "map") continue;
      const present = entries.get(section);
      const own = present?.kind === "map" ? present : emptyMap(from);
      const merged = new Map(from.entries);
      for (const [name, value] of own.entries) {
        const base = merged.get(name);
        merged.set(
          name,
          base === undefined || sameTree(base, value) ? value : merge(base, value, [section, name], context.budget),
        );
      }
      entries.set(section, mapping(own, merged));
    }
  }
  return mapping(tree, entries);
}

function loadInclude(
  context: ModelContext,
  part: Part,
  item: Tree,
  path: string,
  including: readonly string[],
): Tree | undefined {
  const { problems } = context;
  const written = item.kind === "map" ? item.entries.get("path") : item;
  const paths = (written?.kind === "list" ? written.items : [written]).map(textOf);
  if (paths.length === 0 || paths.some((one) => one === undefined)) {
    problems.invalid(item, path, "names no file", "Write a path, or { path: other/compose.yaml }.");
    return undefined;
  }
  const remote = (paths as string[]).find((one) => /^[a-z+]+:\/\/|^git@|\.git(?:#|$)/.test(one));
  if (remote !== undefined) {
    problems.policy(item, path, `reads a compose file from elsewhere (${remote})`, "Put a copy into the project.");
    return undefined;
  }
  const files = (paths as string[]).map((one) => resolve(part.folder, one));
  const first = files[0] as string;
  if (including.includes(first)) {
    problems.invalid(
      item,
      path,
      `includes itself: ${[...including, first].join(" → ")}`,
      "Remove one of these includes.",
    );
    return undefined;
  }
  const directory = textOf(entry(item, "project_directory")) || undefined;
  const folder = directory === undefined ? dirname(first) : projectDirectory(context, resolve(part.folder, directory));
  const lookup = includeVariables(context, part, item, path, folder);
  // A file that cannot be read is reported where it is included.
  for (const file of files) if (context.files.open(file, problems, item, path) === undefined) return undefined;
  return loadModel(context, { files, folder, lookup, including });
}

/** As in Compose, a path that is not a folder stands for its parent folder. */
function projectDirectory({ project }: ModelContext, path: string): string {
  try {
    return statBeneath(path, project)?.kind === "folder" ? path : dirname(path);
  } catch (error) {
    // A path outside the project is refused later, when one of its files is used.
    if (error instanceof UnsafePathError) return path;
    throw error;
  }
}

/** Variables of the including file override those of the included project's `.env`. */
function includeVariables(context: ModelContext, part: Part, item: Tree, path: string, folder: string): Lookup {
  const written = entry(item, "env_file");
  const named = (written?.kind === "list" ? written.items : [written]).flatMap((one) => textOf(one) ?? []);
  const usual = join(folder, ".env");
  const values = new Map<string, Variable>();
  for (const file of named.length > 0 ? named.map((one) => resolve(part.folder, one)) : [usual]) {
    if (file === "/dev/null") continue;
    try {
      const read = readEnvFile(file, context.project, {
        lookup: (name) => part.lookup(name) ?? values.get(name),
        unset: context.unset,
      });
      if (read === undefined && file !== usual)
        context.problems.invalid(
          item,
          `${path}.env_file`,
          `the file ${file} does not exist`,
          "Create it, or correct its name.",
        );
      for (const [name, value] of read ?? []) values.set(name, value);
    } catch (error) {
      const why = error instanceof EnvFileError ? error.message : ((error as NodeJS.ErrnoException).code ?? "unknown");
      context.problems.invalid(item, path, `the file ${file} cannot be read: ${why}`, "Correct the file.");
    }
  }
  return (name) => part.lookup(name) ?? values.get(name);
}
