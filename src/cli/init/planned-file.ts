/** What `init` would write: a new file, or an addition to an existing one. Nothing that exists is replaced. */
import { lstatSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { applyEdits, type JSONPath, modify, type ParseError, parse } from "jsonc-parser";
import { StackwardenError } from "../../errors.js";
import { atomicWrite } from "../../system/atomic-write.js";
import { isBeneath } from "../../system/is-beneath.js";
import { realPath } from "../../system/real-path.js";
import type { ClientFile } from "./clients.js";

export interface PlannedFile {
  path: string;
  /** `present`: it holds the entry already, and nothing is written. `manual`: it cannot be changed safely. */
  action: "create" | "add" | "present" | "manual";
  /** The whole text of the file afterwards; for `manual`, the text to add by hand. */
  text: string;
  /** Why nothing is written; absent otherwise. */
  reason?: string;
}

const LARGEST = 4 * 1_048_576;

/** @returns null when nothing is there, else the text, or why it is not used */
function existing(path: string): { text: string } | { reason: string } | null {
  try {
    const stats = lstatSync(path);
    if (!stats.isFile()) return { reason: "it is not a regular file" };
    if (stats.size > LARGEST) return { reason: "it is larger than 4 MiB" };
    return { text: readFileSync(path, "utf8") };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return null;
    return { reason: `it cannot be read (${code})` };
  }
}

/** A new file; `present` when something has this name already. */
export function newFile(path: string, text: string): PlannedFile {
  const before = existing(path);
  if (before === null) return { path, action: "create", text };
  return { path, action: "present", text: "text" in before ? before.text : "", reason: "it exists" };
}

const INDENT = { formattingOptions: { insertSpaces: true, tabSize: 2, insertFinalNewline: true } };
const tomlText = (value: unknown): string => JSON.stringify(value);

/** A table of TOML; its strings are basic strings, whose escapes JSON shares. */
function tomlTable(keys: readonly string[], entry: Record<string, unknown>): string {
  const lines = Object.entries(entry).map(([key, value]) =>
    Array.isArray(value) ? `${key} = [${value.map(tomlText).join(", ")}]` : `${key} = ${tomlText(value)}`,
  );
  return `[${keys.join(".")}]\n${lines.join("\n")}\n`;
}

function jsonAddition({ path, keys, entry }: ClientFile, before: string | null): PlannedFile {
  const alone = `${JSON.stringify({ [keys[0] as string]: { [keys[1] as string]: entry } }, null, 2)}\n`;
  if (before === null || before.trim() === "") return { path, action: before === null ? "create" : "add", text: alone };
  const errors: ParseError[] = [];
  const value: unknown = parse(before, errors, { allowTrailingComma: true });
  const isObject = (one: unknown): one is Record<string, unknown> =>
    typeof one === "object" && one !== null && !Array.isArray(one);
  const section = isObject(value) ? value[keys[0] as string] : undefined;
  if (errors.length > 0 || !isObject(value) || (section !== undefined && !isObject(section)))
    return { path, action: "manual", text: alone, reason: "its JSON cannot be read" };
  if (isObject(section) && Object.hasOwn(section, keys[1] as string))
    return { path, action: "present", text: before, reason: `it has ${keys.join(".")}` };
  return { path, action: "add", text: applyEdits(before, modify(before, [...keys] as JSONPath, entry, INDENT)) };
}

function tomlAddition({ path, keys, entry }: ClientFile, before: string | null): PlannedFile {
  const table = tomlTable(keys, entry);
  if (before === null) return { path, action: "create", text: table };
  const [section, name] = keys as [string, string];
  if (new RegExp(`^\\s*\\[\\s*"?${section}"?\\s*\\.\\s*["']?${name}["']?\\s*[\\].]`, "m").test(before))
    return { path, action: "present", text: before, reason: `it has ${keys.join(".")}` };
  // An inline table or dotted keys cannot be extended by a table.
  if (new RegExp(`^\\s*(?:\\[\\s*${section}\\s*\\]|"?${section}"?\\s*[.=])`, "m").test(before))
    return { path, action: "manual", text: table, reason: `it writes ${section} in another form` };
  return { path, action: "add", text: `${before}${before === "" || before.endsWith("\n") ? "" : "\n"}\n${table}` };
}

/** Whether a link leads from the project's folder to the file: a repository would choose which file changes. */
const leadsOut = (path: string, folder: string): boolean =>
  isBeneath(folder, path) && realPath(dirname(path)) !== dirname(path);

/**
 * Adds the server to a client's file. Comments and the order of an existing file are kept.
 * @param folder the project's, without links
 */
export function withClient(file: ClientFile, folder: string): PlannedFile {
  const before = leadsOut(file.path, folder) ? { reason: "its folder is a link" } : existing(file.path);
  const alone = file.format === "json" ? jsonAddition(file, null).text : tomlAddition(file, null).text;
  if (before !== null && "reason" in before)
    return { path: file.path, action: "manual", text: alone, reason: before.reason };
  const text = before === null ? null : before.text;
  return file.format === "json" ? jsonAddition(file, text) : tomlAddition(file, text);
}

/** @throws STORAGE_FAILED */
export async function writePlanned({ path, action, text }: PlannedFile): Promise<void> {
  try {
    mkdirSync(dirname(path), { recursive: true });
    // `wx`: a file that another program has created meanwhile stays.
    if (action === "create") writeFileSync(path, text, { flag: "wx" });
    else if (action === "add") await atomicWrite(path, text, lstatSync(path).mode & 0o777);
  } catch (error) {
    if (error instanceof StackwardenError) throw error;
    throw new StackwardenError(
      "STORAGE_FAILED",
      `${path} cannot be written (${(error as NodeJS.ErrnoException).code}).`,
      {
        hint: "Correct its permissions, or write the text that init shows by hand.",
        cause: error,
      },
    );
  }
}
