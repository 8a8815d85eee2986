/** The top-level `secrets`: where each value comes from, and the values. */
import { readFileSync } from "node:fs";
import type { Variable } from "./interpolate.js";
import { given, type NodeReader } from "./node-reader.js";
import { projectPath } from "./project-path.js";

export type SecretSource = {
  name: string;
  variable?: string;
  generate: boolean;
  file?: string;
  external: boolean;
  reader: NodeReader;
};

/** @param folder the project's, real */
export function readSecretSources(reader: NodeReader | undefined, folder: string): SecretSource[] {
  if (!given(reader)) return [];
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
    const external = given(fields.external) && (fields.external.isMap || fields.external.boolean() === true);
    const variable = given(fields.environment) ? fields.environment.string("a variable's name") : undefined;
    const written = given(fields.file) ? fields.file.string("a path") : undefined;
    const file = written === undefined ? undefined : projectPath(fields.file as NodeReader, written, folder);
    const generate = given(fields["x-generate"]) && fields["x-generate"].boolean() === true;
    if (variable === undefined && written === undefined && !generate && !external)
      value.invalid("has no source", "Give `environment`, `file`, or `x-generate: true`.");
    return {
      name,
      generate,
      external,
      reader: value,
      // What an external store would give can be set in .env under the secret's name.
      ...(variable === undefined ? (external ? { variable: name } : {}) : { variable }),
      ...(file === undefined ? {} : { file }),
    };
  });
}

export interface SecretValues {
  /** By the secret's name. */
  text: Record<string, string>;
  /** Of those that are not text. */
  binary: Record<string, Buffer>;
}

function readContent(file: string): string | Buffer {
  const bytes = readFileSync(file);
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return bytes;
  }
}

/** Values of the secrets; `make` is called for those that nothing gives. A secret without a value is a problem of who uses it. */
export async function resolveSecrets(
  sources: SecretSource[],
  variables: Map<string, Variable>,
  make: (name: string) => Promise<string>,
): Promise<SecretValues> {
  const text: Record<string, string> = Object.create(null);
  const binary: Record<string, Buffer> = Object.create(null);
  for (const { name, variable, generate, file, external, reader } of sources) {
    const present = variable === undefined ? undefined : variables.get(variable)?.value;
    if (present !== undefined && present !== "") text[name] = present;
    else if (file !== undefined) {
      try {
        const content = readContent(file);
        // A secret is most often one line; the line end that an editor adds is not part of it.
        if (typeof content === "string") text[name] = content.replace(/\r?\n$/, "");
        else binary[name] = content;
      } catch {
        reader.invalid("names a file that cannot be read", "Create the file below the project.");
      }
    } else if (generate) text[name] = await make(name);
    else if (variable !== undefined && !external)
      reader.invalid(`needs ${variable}, which is not set`, "Set it in .env, or write x-generate: true.");
    if (variable !== undefined && text[name] !== undefined) variables.set(variable, { value: text[name], secret: true });
  }
  return { text, binary };
}
