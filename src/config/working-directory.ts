/**
 * What a stackwarden.yaml that merely lies in the working directory may decide. The agent that the server guards, or a
 * cloned repository, may have written it: it narrows what the operator's own configuration, environment and flags
 * permit, or chooses where these leave a choice. It never widens.
 */
import { realpathSync } from "node:fs";
import { isAbsolute, relative, resolve } from "node:path";
import { StackwardenError } from "../errors.js";
import type { ConfigFile } from "./file.js";
import { absolutePaths, type Layer, merge } from "./layers.js";
import { isGroup, setAt, valueAt } from "./nested.js";
import { configSchema, settingKeys } from "./schema.js";
import { type Rule, SETTINGS } from "./settings.js";

/** The rule of every setting by its dotted key; `*` stands for a name that the configuration chooses. */
export const WORKING_DIRECTORY_RULES: Readonly<Record<string, Rule>> = Object.fromEntries(
  SETTINGS.flatMap(({ key, workingDirectory }) =>
    "keys" in workingDirectory
      ? Object.entries(workingDirectory.keys).map(([inner, rule]) => [`${key}.${inner}`, rule])
      : [[key, workingDirectory]],
  ),
);

export interface WorkingDirectoryLayers {
  /** Weaker than the operator's own file. */
  choices: Layer;
  /** Stronger than the operator's own file. */
  restrictions: Layer;
}

/**
 * @param operator what the user's own file, the environment and the flags say, with absolute paths
 * @throws StackwardenError POLICY_VIOLATION naming file, line and setting
 */
export function workingDirectoryLayers(file: ConfigFile, operator: Record<string, unknown>): WorkingDirectoryLayers {
  const refuse = (path: readonly string[], why: string): never => {
    throw new StackwardenError("POLICY_VIOLATION", `${file.where(path)}: ${path.join(".")} ${why}`, {
      hint: "A file in the working directory can only narrow what the operator's configuration permits. Pass it with --config, or set it in the user's configuration or by environment.",
      details: { setting: path.join(".") },
    });
  };
  const choices: Record<string, unknown> = {};
  const restrictions: Record<string, unknown> = {};
  for (const { path, key, value } of leaves(file.values)) {
    // The schema refuses unknown settings.
    const rule = WORKING_DIRECTORY_RULES[key] ?? { kind: settingKeys().includes(key) ? "forbidden" : "choice" };
    switch (rule.kind) {
      case "forbidden":
        return refuse(path, "is not accepted here.");
      case "only":
        if (value === !rule.value) refuse(path, `can only be switched ${rule.value ? "on" : "off"} here.`);
        break;
      case "at most":
      case "at least": {
        const limit = valueAt(operator, path) ?? valueAt(defaults(), path);
        if (typeof value !== "number" || typeof limit !== "number") break;
        if (rule.kind === "at most" ? value > limit : value < limit) refuse(path, `can be ${rule.kind} ${limit} here.`);
        break;
      }
      case "not before": {
        const limit = valueAt(operator, path) ?? valueAt(defaults(), path);
        const [allowed, chosen] = [rule.values.indexOf(String(limit)), rule.values.indexOf(String(value))];
        if (allowed >= 0 && chosen >= 0 && chosen < allowed)
          refuse(path, `can be ${rule.values.slice(allowed).join(" or ")} here.`);
        break;
      }
      case "roots":
        for (const root of Array.isArray(value) ? value : []) {
          if (typeof root !== "string") continue;
          const folder = resolve(file.folder, root);
          if (!isWithin(file.folder, folder)) refuse(path, `leads out of ${file.folder}.`);
          const allowed = valueAt(operator, path);
          if (Array.isArray(allowed) && !allowed.some((one) => typeof one === "string" && isWithin(one, folder)))
            refuse(path, `names ${root}, which is not below a root of the operator's configuration.`);
        }
        break;
    }
    setAt(rule.kind === "choice" ? choices : restrictions, path, value);
  }
  const layer = (values: Record<string, unknown>): Layer => ({ values, folder: file.folder, where: file.where });
  return { choices: layer(choices), restrictions: layer(restrictions) };
}

/** The operator's values of all layers together. */
export function together(layers: readonly Layer[]): Record<string, unknown> {
  const merged: Record<string, unknown> = Object.create(null);
  for (const layer of layers) merge(merged, absolutePaths(layer));
  return merged;
}

/** Whether a path is a folder or is below it. Resolves the links that exist. */
export function isWithin(folder: string, path: string): boolean {
  const way = relative(real(folder), real(path));
  return !(way === ".." || way.startsWith("../") || way.startsWith("..\\") || isAbsolute(way));
}

function real(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

interface Leaf {
  path: string[];
  /** With `*` for a name that the file chooses. */
  key: string;
  value: unknown;
}

const NAMED = new Set(["projects", "engines"]);
function* leaves(values: Record<string, unknown>, path: string[] = [], key: string[] = []): Generator<Leaf> {
  for (const [name, value] of Object.entries(values)) {
    const at = [...path, name];
    const as = [...key, NAMED.has(key.at(-1) ?? "") ? "*" : name];
    if (isGroup(value) && Object.keys(value).length > 0) yield* leaves(value, at, as);
    else yield { path: at, key: as.join("."), value };
  }
}

let parsedDefaults: Record<string, unknown> | undefined;
const defaults = (): Record<string, unknown> => {
  parsedDefaults ??= configSchema.parse({}) as Record<string, unknown>;
  return parsedDefaults;
};
