/** Reads the project's `.env`. The server's environment is not used, because it contains the agent's keys. */
import { join } from "node:path";
import { isSensitiveName } from "../attributes/read-environment.js";
import { EnvFileError, readEnvFile } from "./env-file.js";
import type { Variable } from "./interpolate.js";
import type { Problems } from "./problems.js";

/** @param folders candidate folders, all below `project`; the first one that has an `.env` is used */
export function projectVariables(
  project: string,
  folders: readonly string[],
  problems: Problems,
  unset: (name: string) => void,
): Map<string, Variable> {
  for (const folder of folders) {
    const file = join(folder, ".env");
    try {
      const values = readEnvFile(file, project, { unset });
      if (values === undefined) continue;
      for (const [name, { value, secret }] of values)
        values.set(name, { value, secret: secret || isSensitiveName(name) });
      return values;
    } catch (error) {
      const why = error instanceof EnvFileError ? error.message : ((error as NodeJS.ErrnoException).code ?? "unknown");
      problems.invalid(
        { file: { path: file }, line: null },
        "",
        `cannot be used: ${why}`,
        "Correct or remove the file.",
      );
      return new Map();
    }
  }
  return new Map();
}
