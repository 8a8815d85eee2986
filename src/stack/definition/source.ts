/** Where a stack's definition comes from: the project's compose file or the built-in one, and the project's `.env`. */
import { existsSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { StackwardenError } from "../../errors.js";
import { EnvFileError, readEnvFile } from "./env-file.js";
import type { Variable } from "./interpolate.js";
import { isSensitiveName } from "./read-environment.js";
import { isBelow, realPath } from "./read-mounts.js";

/** In Compose's own order of preference. */
const NAMES = ["compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml"];
const BUILT_IN = "built-in:commandcenter";
const LARGEST = 1_048_576;

export interface Source {
  /** Path, or BUILT_IN. */
  file: string;
  text: string;
  builtIn: boolean;
  notes: string[];
}

/** `stacks/` lies beside `src/` in the sources and beside the bundle in `dist/`. */
function builtInText(): string {
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    const file = join(folder, "stacks", "commandcenter", "compose.yaml");
    if (existsSync(file)) return readFileSync(file, "utf8");
    if (folder === dirname(folder))
      throw new StackwardenError("INTERNAL", "The built-in stack's file is missing.", {
        hint: "Install stackwarden again.",
      });
  }
}

/** Compose reads these beside the file by itself; what is in them must not be lost without a word. */
const OVERRIDES = NAMES.map((name) => name.replace(/\.(ya?ml)$/, ".override.$1"));

const unusable = (message: string, hint: string): StackwardenError =>
  new StackwardenError("INVALID_STACK", message, { hint });

export function findSource(folder: string): Source {
  const there = NAMES.filter((name) => statSync(join(folder, name), { throwIfNoEntry: false }) !== undefined);
  const [name, ...others] = there;
  if (name === undefined) return { file: BUILT_IN, text: builtInText(), builtIn: true, notes: [] };
  const file = join(folder, name);
  if (!isBelow(folder, realPath(file)))
    throw unusable(`${file} leads outside the project's folder.`, "Put the compose file itself into the folder.");
  const found = statSync(file);
  if (!found.isFile() || found.size > LARGEST)
    throw unusable(`${file} is not a regular file of at most 1 MiB.`, "Replace it with a smaller compose file.");
  const override = OVERRIDES.find((one) => existsSync(join(folder, one)));
  if (override !== undefined)
    throw unusable(
      `${join(folder, override)} would change ${name}, and is not supported.`,
      `Write what it says into ${name}, then remove or rename it.`,
    );
  const notes = others.map((other) => `${other} is not used: ${name} comes first.`);
  return { file, text: readFileSync(file, "utf8"), builtIn: false, notes };
}

/** The project's `.env`; nothing of the server's own environment. */
export function projectVariables(folder: string, unset: (name: string) => void): Map<string, Variable> {
  const file = join(folder, ".env");
  try {
    const values = readEnvFile(file, (real) => isBelow(folder, real), { unset }) ?? new Map<string, Variable>();
    for (const [name, { value, secret }] of values)
      values.set(name, { value, secret: secret || isSensitiveName(name) });
    if (values.has("COMPOSE_FILE"))
      throw new EnvFileError("COMPOSE_FILE is not supported: there is one compose file, in the project's folder");
    return values;
  } catch (error) {
    const why = error instanceof EnvFileError ? error.message : ((error as NodeJS.ErrnoException).code ?? "unknown");
    throw new StackwardenError("INVALID_STACK", `${file} cannot be used: ${why}.`, {
      hint: "Correct or remove the file.",
    });
  }
}
