/** Reads the contents of the top-level `configs`. */
import { readRegularFile, UnsafePathError } from "../../../system/read-regular-file.js";
import { hasValue, type NodeReader } from "./node-reader.js";
import { projectPath } from "./project-path.js";

const LARGEST = 1_048_576;

/**
 * Reads the contents of the configs in `used`, by name, and the paths of their files. A config that cannot be read is
 * recorded as a problem and left out.
 */
export function readConfigs(
  reader: NodeReader | undefined,
  folder: string,
  used: ReadonlySet<string>,
): { contents: Record<string, Buffer>; declared: Set<string>; secret: string[]; files: string[] } {
  const contents: Record<string, Buffer> = Object.create(null);
  const declared = new Set<string>();
  const secret: string[] = [];
  const files: string[] = [];
  for (const [name, value] of hasValue(reader) ? reader.entries() : []) {
    declared.add(name);
    if (!used.has(name)) continue;
    const fields = value.fields(["name", "content", "environment", "file", "external", "labels", "template_driver"]);
    if (hasValue(fields.content)) contents[name] = Buffer.from(fields.content.string() ?? "");
    else if (hasValue(fields.environment)) {
      const variable = fields.environment.string("a variable's name") ?? "";
      const resolved = value.lookup(variable);
      if (resolved === undefined) fields.environment.invalid(`needs ${variable}, which is not set`, "Set it in .env.");
      else contents[name] = Buffer.from(resolved.value);
      if (resolved?.secret) secret.push(resolved.value);
    } else if (hasValue(fields.file)) {
      const text = fields.file.string("a path");
      const path = text === undefined ? undefined : projectPath(fields.file, text, folder);
      if (path === undefined) continue;
      files.push(path);
      try {
        const bytes = readRegularFile(path, { within: folder, maxBytes: LARGEST })?.bytes;
        if (bytes === undefined) fields.file.invalid(`${text} does not exist`, "Create the file below the project.");
        else contents[name] = bytes;
      } catch (error) {
        if (!(error instanceof UnsafePathError)) throw error;
        fields.file.invalid(`${text} cannot be used: it ${error.problem}`, error.hint);
      }
    } else if (hasValue(fields.external)) contents[name] = Buffer.alloc(0);
    else value.invalid("has no source", "Give `file`, `content` or `environment`.");
  }
  return { contents, declared, secret, files };
}
