/** Pagination of a list that can change between two requests: a cursor holds the last key of a page, not a position. */
import { invalidParams } from "./errors.js";

const PAGE_SIZE = 200;

export function page<T>(
  items: readonly T[],
  keyOf: (item: T) => string,
  cursor: string | undefined,
  size = PAGE_SIZE,
): { items: T[]; nextCursor?: string } {
  let start = 0;
  if (cursor !== undefined) {
    const after = Buffer.from(cursor, "base64url").toString("utf8");
    const at = items.findIndex((item) => keyOf(item) === after);
    if (at < 0) throw invalidParams("This cursor is not, or no longer, valid. Begin again without a cursor.");
    start = at + 1;
  }
  const slice = items.slice(start, start + size);
  const last = slice.at(-1);
  const more = last !== undefined && start + size < items.length;
  return { items: slice, ...(more ? { nextCursor: Buffer.from(keyOf(last)).toString("base64url") } : {}) };
}
