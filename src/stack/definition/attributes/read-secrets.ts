/** Reads the sources and values of the top-level `secrets`. */
import { isUtf8 } from "node:buffer";
import { readRegularFile, UnsafePathError } from "../../../system/read-regular-file.js";
import type { Variable } from "../files/interpolate.js";
import { hasValue, type NodeReader } from "./node-reader.js";
import { projectPath } from "./project-path.js";

export type SecretSource = {
  name: string;
  variable?: string;
  generate: boolean;
  file?: string;
  external: boolean;
  reader: NodeReader;
};

/** @param folder real path of the project's folder */
export function readSecretSources(reader: NodeReader | undefined, folder: string): SecretSource[] {
  if (!hasValue(reader)) return [];
  return reader.entries().map(([name, value]) => {
    const fields = value.fields([
      "environment",
      "file",
      "name",
      "external",
      "labels",
      "driver",
      "driver_opts",
      "template_driver",
      "x-generate",
    ]);
    const external = hasValue(fields.external) && (fields.external.isMap || fields.external.boolean() === true);
    const variable = hasValue(fields.environment) ? fields.environment.string("a variable's name") : undefined;
    const written = hasValue(fields.file) ? fields.file.string("a path") : undefined;
    const file = written === undefined ? undefined : projectPath(fields.file as NodeReader, written, folder);
    const generate = hasValue(fields["x-generate"]) && fields["x-generate"].boolean() === true;
    if (variable === undefined && written === undefined && !generate && !external)
      value.invalid("has no source", "Give `environment`, `file`, or `x-generate: true`.");
    return {
      name,
      generate,
      external,
      reader: value,
      // The value of an external secret can be set in .env under the secret's name.
      ...(variable === undefined ? (external ? { variable: name } : {}) : { variable }),
      ...(file === undefined ? {} : { file }),
    };
  });
}

export interface SecretValues {
  /** Values by secret name. */
  text: Record<string, string>;
  /** Contents of secrets that are not UTF-8 text, by secret name. */
  binary: Record<string, Buffer>;
}

/** Docker's own limit for a secret, in bytes. */
const MAX_SECRET_BYTES = 512_000;

/** Reads a secret's file. The final line end, which editors add, is removed. */
function readContent(file: string, folder: string, reader: NodeReader): string | Buffer | undefined {
  try {
    const bytes = readRegularFile(file, { within: folder, maxBytes: MAX_SECRET_BYTES })?.bytes;
    if (bytes === undefined)
      return reader.invalid("names a file that does not exist", "Create the file below the project.");
    return isUtf8(bytes) ? bytes.toString("utf8").replace(/\r?\n$/, "") : bytes;
  } catch (error) {
    if (!(error instanceof UnsafePathError)) throw error;
    return reader.invalid(`names a file that cannot be used: it ${error.problem}`, error.hint);
  }
}

/**
 * Resolves the values of the secrets. `make` generates a secret that has `x-generate` and no other value. A secret
 * without a value becomes a problem of the service that uses it.
 */
export async function resolveSecrets(
  sources: SecretSource[],
  folder: string,
  variables: Map<string, Variable>,
  make: (name: string) => Promise<string>,
): Promise<SecretValues> {
  const text: Record<string, string> = Object.create(null);
  const binary: Record<string, Buffer> = Object.create(null);
  for (const { name, variable, generate, file, reader } of sources) {
    const present = variable === undefined ? undefined : variables.get(variable)?.value;
    if (present !== undefined && present !== "") text[name] = present;
    else if (file !== undefined) {
      const content = readContent(file, folder, reader);
      if (typeof content === "string") text[name] = content;
      else if (content !== undefined) binary[name] = content;
    } else if (generate) text[name] = await make(name);
    if (variable !== undefined && text[name] !== undefined)
      variables.set(variable, { value: text[name], secret: true });
  }
  return { text, binary };
}
