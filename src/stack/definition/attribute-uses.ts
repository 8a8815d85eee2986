/** Which rows of the table of attributes a part of the project uses. */
import { ATTRIBUTES, hasRowsBelow } from "./attributes.js";
import { isNull, type Tree } from "./tree.js";

/** Deeper than any path of the table. */
const DEEPEST = 8;
/** Aliases must not make a small file a large one; what is larger is refused when it is read. */
const MOST_VALUES = 50_000;

const hasNote = (path: string): boolean =>
  Object.values(ATTRIBUTES[path]?.effects ?? {}).some((effect) => typeof effect === "object" && "note" in effect);

/** What is written is what holds without it: `tty: false`, one instance. */
const saysNothing = (tree: Tree, path: string): boolean =>
  tree.kind === "scalar" &&
  (tree.value === false ||
    tree.value === "" ||
    (tree.value === 1 && (path === "services.scale" || path === "services.deploy.replicas")));

/**
 * Paths of rows with a note that `tree`, which stands at `path`, makes use of. A mapping whose keys users choose is one
 * whose keys have no rows: its values are looked at in their place.
 */
export function attributeUses(root: Tree, path: string): Set<string> {
  const uses = new Set<string>();
  let left = MOST_VALUES;
  const visit = (tree: Tree, at: string, depth: number): void => {
    left -= 1;
    if (left < 0 || isNull(tree) || depth > DEEPEST) return;
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
