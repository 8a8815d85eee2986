/** Programs of stackwarden that run as processes beside the server. */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { StackwardenError } from "../../../errors.js";

/** Path of the program: beside the bundle, or in dist/ when run from the sources. */
export function ownProgram(name: "watchdog" | "network-agent"): string {
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    for (const file of [join(folder, `${name}.js`), join(folder, "dist", `${name}.js`)])
      if (existsSync(file)) return file;
    if (folder === dirname(folder))
      throw new StackwardenError("INTERNAL", `The program ${name} is missing.`, {
        hint: "Install stackwarden again, or build it with npm run build.",
      });
  }
}
