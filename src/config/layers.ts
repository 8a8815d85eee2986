/** What each source of configuration says, and by which name it says it. */
import { resolve } from "node:path";
import { flagName } from "./flags.js";
import { isGroup, setAt } from "./nested.js";
import { type ConfigFlags, SETTINGS, type SettingRow } from "./settings.js";
import { parseText } from "./variables.js";

export interface Layer {
  values: Record<string, unknown>;
  /** Where the value at a path was written: `file:line`, a variable, a flag. */
  where(path: readonly PropertyKey[]): string;
  /** Relative paths of this layer start here. */
  folder: string;
}

export function environmentLayer(env: NodeJS.ProcessEnv, cwd: string): Layer {
  const values: Record<string, unknown> = {};
  for (const setting of SETTINGS) {
    const text = setting.env === null ? undefined : env[setting.env];
    // An empty variable is how clients write "not set".
    if (text !== undefined && text !== "") setAt(values, setting.key.split("."), parseText(setting.kind, text));
  }
  return { values, folder: cwd, where: (path) => sourceName(path, (setting) => setting.env ?? setting.key) };
}

export function flagLayer(flags: ConfigFlags, cwd: string): Layer {
  const values: Record<string, unknown> = {};
  for (const setting of SETTINGS) {
    const flagValue = setting.flag === undefined ? undefined : flags[setting.flag];
    if (flagValue === undefined) continue;
    setAt(
      values,
      setting.key.split("."),
      typeof flagValue === "string" ? parseText(setting.kind, flagValue) : flagValue,
    );
  }
  if (flags.folder !== undefined && flags.root === undefined) values.roots = [flags.folder];
  const nameOf = (path: readonly PropertyKey[]): string =>
    path[0] === "roots" && flags.root === undefined
      ? "--folder"
      : sourceName(path, (setting) => (setting.flag === undefined ? setting.key : flagName(setting.flag)));
  return { values, folder: cwd, where: nameOf };
}

function sourceName(path: readonly PropertyKey[], name: (setting: SettingRow) => string): string {
  const dotted = path.map(String).join(".");
  const setting = SETTINGS.find(({ key }) => dotted === key || dotted.startsWith(`${key}.`));
  return setting === undefined ? dotted : name(setting);
}

/** Groups (retry, logs, projects) merge by key; everything else is replaced. */
export function merge(target: Record<string, unknown>, values: Record<string, unknown>): void {
  for (const [key, value] of Object.entries(values)) {
    const before = target[key];
    target[key] = isGroup(before) && isGroup(value) ? { ...before, ...value } : value;
  }
}

/** A relative path means the place it was written in; what has the wrong type is left for the schema. */
export function absolutePaths({ values, folder }: Layer): Record<string, unknown> {
  const absolute = (path: unknown): unknown => (typeof path === "string" && path !== "" ? resolve(folder, path) : path);
  const out = { ...values };
  if (Object.hasOwn(out, "state_dir")) out.state_dir = absolute(out.state_dir);
  if (Array.isArray(out.roots)) out.roots = out.roots.map(absolute);
  if (isGroup(out.projects)) {
    out.projects = Object.fromEntries(
      Object.entries(out.projects).map(([id, project]) => [
        id,
        isGroup(project) && Object.hasOwn(project, "folder")
          ? { ...project, folder: absolute(project.folder) }
          : project,
      ]),
    );
  }
  return out;
}

/** The strongest layer that says anything at this path. */
export function sourceOf(path: readonly PropertyKey[], layers: readonly Layer[]): string {
  for (const layer of [...layers].reverse()) {
    let value: unknown = layer.values;
    const depth = Math.min(path.length, 2);
    for (const key of path.slice(0, depth))
      value =
        isGroup(value) && Object.hasOwn(value, key) ? value[String(key)] : Array.isArray(value) ? value : undefined;
    if (value !== undefined) return layer.where(path);
  }
  return "default";
}
