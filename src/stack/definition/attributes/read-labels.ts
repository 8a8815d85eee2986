/** Reads `labels`, `annotations` and `label_file`: a mapping, or a list of `name=value` texts. */
import { EnvFileError, readEnvFile } from "../files/env-file.js";
import { hasValue, type NodeReader } from "./node-reader.js";
import { projectPath } from "./project-path.js";

export function readLabels(reader: NodeReader | undefined): Record<string, string> {
  const labels: Record<string, string> = Object.create(null);
  if (!hasValue(reader)) return labels;
  if (reader.isList)
    for (const text of reader.strings()) {
      const [name = "", value = ""] = text.split(/=(.*)/s);
      labels[name] = value;
    }
  else for (const [name, value] of reader.entries()) labels[name] = value.empty ? "" : (value.string() ?? "");
  return labels;
}

/**
 * @param folder real path of the project's folder
 * @param file called with each file
 */
export function readLabelFiles(
  reader: NodeReader | undefined,
  folder: string,
  file: (path: string) => void,
): Record<string, string> {
  const labels: Record<string, string> = Object.create(null);
  for (const item of reader?.listOrOne() ?? []) {
    const text = item.string("a path");
    const path = text === undefined ? undefined : projectPath(item, text, folder);
    if (path === undefined) continue;
    file(path);
    try {
      const values = readEnvFile(path, folder, { lookup: item.context.variables });
      if (values === undefined) item.invalid(`the file ${text} does not exist`, "Create it, or correct its name.");
      for (const [name, { value }] of values ?? []) labels[name] = value;
    } catch (error) {
      const why = error instanceof EnvFileError ? error.message : ((error as NodeJS.ErrnoException).code ?? "unknown");
      item.invalid(`the file ${text} cannot be read: ${why}`, "Correct the file.");
    }
  }
  return labels;
}
