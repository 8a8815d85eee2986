/** `environment` and `env_file`. The server's own environment never comes in: it holds the agent's keys. */
import { isSecretName } from "../text/secret-names.js";
import { EnvFileError, readEnvFile } from "./env-file.js";
import type { Lookup } from "./interpolate.js";
import { given, type NodeReader } from "./node-reader.js";
import { projectPath } from "./read-mounts.js";

const NAME = /^[A-Za-z_][A-Za-z0-9_.-]*$/;

export { isSecretName as isSensitiveName };

export interface Environment {
  values: Record<string, string>;
  /** Names whose value holds a secret. */
  secret: Set<string>;
  /** Env files in which a secret is written. */
  privateFiles: Set<string>;
}

function put(into: Environment, name: string, value: string, secret: boolean): void {
  into.values[name] = value;
  if (secret || (value !== "" && isSecretName(name))) into.secret.add(name);
  else into.secret.delete(name);
}

function readFiles(reader: NodeReader, folder: string, into: Environment, lookup: Lookup): void {
  for (const item of reader.isList ? reader.list() : [reader]) {
    const fields: { path?: NodeReader; required?: NodeReader; format?: NodeReader } = item.isMap
      ? item.fields(["path", "required", "format"])
      : { path: item };
    const text = (fields.path ?? item).string("a path");
    const path = text === undefined ? undefined : projectPath(item, text, folder);
    const raw = given(fields.format) && fields.format.oneOf(["raw"]) === "raw";
    if (path === undefined) continue;
    try {
      const values = readEnvFile(path, folder, { lookup, raw });
      const required = given(fields.required) ? fields.required.boolean() : true;
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

/** @param fallback values for names written without one (`- NAME`): the project's `.env` */
export function readEnvironment(
  reader: NodeReader | undefined,
  files: NodeReader | undefined,
  folder: string,
  fallback: Lookup,
): Environment {
  const values = Object.create(null) as Record<string, string>;
  const into: Environment = { values, secret: new Set(), privateFiles: new Set() };
  if (given(files)) readFiles(files, folder, into, fallback);
  if (!given(reader)) return into;
  const add = (at: NodeReader, name: string, value: string | undefined): void => {
    if (!NAME.test(name)) at.invalid(`${JSON.stringify(name)} is not a variable name`, "Use letters, digits and _.");
    else if (value !== undefined) put(into, name, value, at.secret);
    else {
      const found = fallback(name);
      if (found !== undefined) put(into, name, found.value, found.secret);
    }
  };
  if (reader.isList) {
    for (const item of reader.list()) {
      const text = item.string("NAME=value");
      if (text === undefined) continue;
      const equals = text.indexOf("=");
      if (equals < 0) add(item, text, undefined);
      else add(item, text.slice(0, equals), text.slice(equals + 1));
    }
  } else {
    for (const [name, value] of reader.entries()) {
      const text = value.empty ? undefined : value.string();
      if (value.empty || text !== undefined) add(value, name, text);
    }
  }
  return into;
}
