/** The top-level `secrets`: where each value comes from, and the values. */
import { readRegularText, UnsafePathError } from "../../system/read-regular-file.js";
import type { Variable } from "./interpolate.js";
import { given, type NodeReader } from "./node-reader.js";
import { projectPath } from "./read-mounts.js";

export type SecretSource = { name: string; variable?: string; generate: boolean; file?: string; reader: NodeReader };

/** Docker's own limit for a secret, in bytes. */
const MAX_SECRET_BYTES = 512_000;

export function readSecretSources(reader: NodeReader | undefined, folder: string): SecretSource[] {
  if (!given(reader)) return [];
  return reader.entries().map(([name, value]) => {
    const fields = value.fields(["environment", "file", "name", "x-generate"], {
      external: "Give `environment` or `file`: stackwarden has no store of outside secrets.",
    });
    const variable = given(fields.environment) ? fields.environment.string("a variable's name") : undefined;
    const written = given(fields.file) ? fields.file.string("a path") : undefined;
    const file = written === undefined ? undefined : projectPath(value, written, folder);
    const generate = given(fields["x-generate"]) && fields["x-generate"].boolean() === true;
    if (variable === undefined && file === undefined && !generate)
      value.invalid("has no source", "Give `environment`, `file`, or `x-generate: true`.");
    return {
      name,
      generate,
      reader: value,
      ...(variable === undefined ? {} : { variable }),
      ...(file === undefined ? {} : { file }),
    };
  });
}

function readSecretFile(file: string, folder: string, reader: NodeReader): string | undefined {
  try {
    const text = readRegularText(file, { within: folder, maxBytes: MAX_SECRET_BYTES });
    return text ?? reader.invalid("names a file that does not exist", "Create the file below the project.");
  } catch (error) {
    if (!(error instanceof UnsafePathError)) throw error;
    return reader.invalid(`names a file that cannot be used: it ${error.problem}`, error.hint);
  }
}

/** Values of the secrets; `make` is called for those that nothing gives. */
export async function resolveSecrets(
  sources: SecretSource[],
  folder: string,
  variables: Map<string, Variable>,
  make: (name: string) => Promise<string>,
): Promise<Record<string, string>> {
  const values: Record<string, string> = Object.create(null);
  for (const { name, variable, generate, file, reader } of sources) {
    const given = variable === undefined ? undefined : variables.get(variable)?.value;
    if (given !== undefined && given !== "") values[name] = given;
    else if (file !== undefined) {
      const text = readSecretFile(file, folder, reader);
      if (text !== undefined) values[name] = text.replace(/\r?\n$/, "");
    } else if (generate) values[name] = await make(name);
    else if (variable !== undefined)
      reader.invalid(`needs ${variable}, which is not set`, "Set it in .env, or write x-generate: true.");
    if (variable !== undefined && values[name] !== undefined)
      variables.set(variable, { value: values[name], secret: true });
  }
  return values;
}
