/** Where a stack's definition comes from: the project's compose file or the built-in one, and the project's `.env`. */
import { join } from "node:path";
import { StackwardenError } from "../../errors.js";
import { readRegularText, statBeneath, UnsafePathError } from "../../system/read-regular-file.js";
import { builtInText } from "./built-in-stack.js";
import { EnvFileError, readEnvFile } from "./env-file.js";
import type { Variable } from "./interpolate.js";
import { isSensitiveName } from "./read-environment.js";

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

/** Compose reads these beside the file by itself; what is in them must not be lost without a word. */
const OVERRIDES = NAMES.map((name) => name.replace(/\.(ya?ml)$/, ".override.$1"));

const unusable = (message: string, hint: string): StackwardenError =>
  new StackwardenError("INVALID_STACK", message, { hint });

/** A link that leads outside is there too: reading it says what is wrong with it. */
function exists(name: string, folder: string): boolean {
  try {
    return statBeneath(name, folder) !== undefined;
  } catch (error) {
    if (error instanceof UnsafePathError) return true;
    throw error;
  }
}

export function findSource(folder: string): Source {
  const there = NAMES.filter((name) => exists(name, folder));
  const [name, ...others] = there;
  if (name === undefined) return { file: BUILT_IN, text: builtInText(), builtIn: true, notes: [] };
  const file = join(folder, name);
  const text = readRegularText(file, { within: folder, maxBytes: LARGEST });
  if (text === undefined)
    throw unusable(`${file} was removed while it was read.`, "Call again when the file is in its place.");
  const override = OVERRIDES.find((one) => exists(one, folder));
  if (override !== undefined)
    throw unusable(
      `${join(folder, override)} would change ${name}, and is not supported.`,
      `Write what it says into ${name}, then remove or rename it.`,
    );
  const notes = others.map((other) => `${other} is not used: ${name} comes first.`);
  return { file, text, builtIn: false, notes };
}

/** The project's `.env`; nothing of the server's own environment. */
export function projectVariables(folder: string, unset: (name: string) => void): Map<string, Variable> {
  const file = join(folder, ".env");
  try {
    const values = readEnvFile(file, folder, { unset }) ?? new Map<string, Variable>();
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
