/** Reads `environment` and `env_file`. The server's environment is never used, because it contains the agent's keys. */
import { isSecretName } from "../../text/secret-names.js";
import { EnvFileError, readEnvFile } from "../files/env-file.js";
import { hasValue, type NodeReader } from "./node-reader.js";
import { projectPath } from "./project-path.js";

/** Valid variable names: any characters except `=`, NUL and control characters. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused.
const NAME = /^[^=\u0000-\u001f\u007f]+$/;

export { isSecretName as isSensitiveName };

export interface Environment {
  values: Record<string, string>;
  /** Names whose value holds a secret. */
  secret: Set<string>;
  /** Env files that contain a secret. */
  privateFiles: Set<string>;
  /** All env files. */
  files: Set<string>;
}

function put(into: Environment, name: string, value: string, secret: boolean): void {
  into.values[name] = value;
  if (secret || (value !== "" && isSecretName(name))) into.secret.add(name);
  else into.secret.delete(name);
}

/**
 * Reads env files. Variables in their values resolve to those of the project, then those of `environment`, then those
 * earlier in the same file.
 */
function readFiles(reader: NodeReader, folder: string, own: Environment, into: Environment): void {
  for (const item of reader.listOrOne()) {
    const fields: { path?: NodeReader; required?: NodeReader; format?: NodeReader } = item.isMap
      ? item.fields(["path", "required", "format"])
      : { path: item };
    const at = fields.path ?? item;
    const text = at.string("a path");
    const path = text === undefined ? undefined : projectPath(at, text, folder);
    const raw = hasValue(fields.format) && fields.format.oneOf(["raw"]) === "raw";
    if (path === undefined) continue;
    const variable = (name: string) =>
      item.context.variables(name) ??
      (Object.hasOwn(own.values, name)
        ? { value: own.values[name] as string, secret: own.secret.has(name) }
        : undefined);
    into.files.add(path);
    try {
      const values = readEnvFile(path, folder, { lookup: variable, raw });
      const required = hasValue(fields.required) ? fields.required.boolean() : true;
      if (values === undefined && required)
        item.invalid(`the file ${text} does not exist`, "Create it, or write required: false.");
      for (const [name, { value, secret }] of values ?? []) {
        put(into, name, value, secret);
        if (into.secret.has(name)) into.privateFiles.add(path);
      }
    } catch (error) {
      const why = error instanceof EnvFileError ? error.message : ((error as NodeJS.ErrnoException).code ?? "unknown");
      item.invalid(`the file ${text} cannot be read: ${why}`, "Correct the file.");
    }
  }
}

const empty = (): Environment => ({
  values: Object.create(null) as Record<string, string>,
  secret: new Set(),
  privateFiles: new Set(),
  files: new Set(),
});

/** A name without a value (`- NAME`) gets its value from the variables of its file, or stays unset. */
export function readEnvironment(
  reader: NodeReader | undefined,
  files: NodeReader | undefined,
  folder: string,
): Environment {
  const own = empty();
  const unset = new Set<string>();
  const add = (at: NodeReader, name: string, value: string | undefined): void => {
    unset.delete(name);
    const variable = value === undefined ? at.lookup(name) : undefined;
    if (!NAME.test(name))
      at.invalid(`${JSON.stringify(name.slice(0, 64))} is not a variable name`, "Use letters, digits and _.");
    else if (value !== undefined) put(own, name, value, at.secret);
    else if (variable !== undefined) put(own, name, variable.value, variable.secret);
    else {
      unset.add(name);
      delete own.values[name];
      own.secret.delete(name);
    }
  };
  if (reader?.isList) {
    for (const item of reader.list()) {
      const text = item.string("NAME=value");
      if (text === undefined) continue;
      const equals = text.indexOf("=");
      if (equals < 0) add(item, text, undefined);
      else add(item, text.slice(0, equals), text.slice(equals + 1));
    }
  } else if (hasValue(reader)) {
    for (const [name, value] of reader.entries()) {
      const text = value.empty ? undefined : value.string();
      if ((value.empty && value.tree.fault === undefined) || text !== undefined) add(value, name, text);
    }
  }
  const all = empty();
  if (hasValue(files)) readFiles(files, folder, own, all);
  for (const [name, value] of Object.entries(own.values)) put(all, name, value, own.secret.has(name));
  // A name for which no value was found is unset, even when an env file sets it.
  for (const name of unset) {
    delete all.values[name];
    all.secret.delete(name);
  }
  return all;
}
