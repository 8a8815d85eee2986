/** Which rows of the table of attributes a part of the project uses. */
import { ATTRIBUTES, hasRowsBelow } from "./attributes.js";
import { isNull, type Tree } from "./tree.js";

/** Deeper than any path of the table. */
const DEEPEST = 8;

const hasNote = (path: string): boolean =>
  Object.values(ATTRIBUTES[path]?.effects ?? {}).some((effect) => typeof effect === "object" && "note" in effect);

/**
 * Paths of rows with a note that `tree`, which stands at `path`, makes use of. A mapping whose keys users choose is one
 * whose keys have no rows: its values are looked at in their place.
 */
export function attributeUses(tree: Tree, path: string, depth = 0): Set<string> {
  const uses = new Set<string>();
  if (isNull(tree) || depth > DEEPEST) return uses;
  if (ATTRIBUTES[path] !== undefined && hasNote(path)) uses.add(path);
  if (!hasRowsBelow(path)) return uses;
  const visit = (value: Tree, at: string): void => {
    for (const one of attributeUses(value, at, depth + 1)) uses.add(one);
  };
  if (tree.kind === "list") for (const item of tree.items) visit(item, path);
  else if (tree.kind === "map")
    for (const [key, value] of tree.entries) {
      const below = `${path}.${key}`;
      visit(value, ATTRIBUTES[below] !== undefined || hasRowsBelow(below) ? below : path);
    }
  return uses;
}
