/** Finds the rows of the attribute table that a part of the project uses. */

import { isNull, type Tree } from "../files/tree.js";
import { ATTRIBUTES, hasRowsBelow } from "./attributes.js";

/** Maximum depth of the walk; deeper than any path of the table. */
const DEEPEST = 8;
/** Maximum values visited, because aliases can expand a small file. Larger files are refused when they are read. */
const MOST_VALUES = 50_000;

const hasNote = (path: string): boolean =>
  Object.values(ATTRIBUTES[path]?.effects ?? {}).some((effect) => typeof effect === "object" && "note" in effect);

/** True when the value equals the default, for example `tty: false` or one instance. */
const saysNothing = (tree: Tree, path: string): boolean =>
  tree.kind === "scalar" &&
  (tree.value === false ||
    tree.value === "" ||
    (tree.value === 1 && (path === "services.scale" || path === "services.deploy.replicas")) ||
    (path === "services.pull_policy" && (tree.value === "missing" || tree.value === "if_not_present")) ||
    // A port that is not published has a separate note.
    path === "services.ports.protocol");

/**
 * Paths of the rows with a note that `tree` uses; `path` is the position of `tree`. When a key of a mapping has no row,
 * users choose that key, and its value is visited at the mapping's own path.
 */
export function attributeUses(root: Tree, path: string): Set<string> {
  const uses = new Set<string>();
  let remaining = MOST_VALUES;
  const visit = (tree: Tree, at: string, depth: number): void => {
    remaining -= 1;
    if (remaining < 0 || isNull(tree) || depth > DEEPEST) return;
    if (ATTRIBUTES[at] !== undefined && hasNote(at) && !saysNothing(tree, at)) uses.add(at);
    if (!hasRowsBelow(at)) return;
    if (tree.kind === "list") for (const item of tree.items) visit(item, at, depth + 1);
    else if (tree.kind === "map")
      for (const [key, value] of tree.entries) {
        const below = `${at}.${key}`;
        visit(value, ATTRIBUTES[below] !== undefined || hasRowsBelow(below) ? below : at, depth + 1);
      }
  };
  visit(root, path, 0);
  return uses;
}
