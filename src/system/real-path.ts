/** Where a path leads. It opens nothing; what is read there later is checked again when it is opened (open-beneath.ts). */
import { realpathSync } from "node:fs";
import { join, resolve } from "node:path";

/** The real path of what exists of `path`, with the rest appended. */
export function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    const parent = resolve(path, "..");
    return parent === path ? path : join(realPath(parent), path.slice(parent.length));
  }
}
