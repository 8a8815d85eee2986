/** The compose file of the built-in stack: a file of the stackwarden package, which projects cannot change. */
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { StackwardenError } from "../../../errors.js";

/** `stacks/` lies beside `src/` in the sources and beside the bundle in `dist/`. */
export function builtInText(): string {
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    const file = join(folder, "stacks", "commandcenter", "compose.yaml");
    if (existsSync(file)) return readFileSync(file, "utf8");
    if (folder === dirname(folder))
      throw new StackwardenError("INTERNAL", "The built-in stack's file is missing.", {
        hint: "Install stackwarden again.",
      });
  }
}
