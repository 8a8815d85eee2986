/** A module that a program does not find: whether a manifest of its service lists it already. */
import { basename, join, relative } from "node:path";
import { readRegularText } from "../../system/read-regular-file.js";
import { type SourcePath, sourcePaths } from "../definition/source-paths.js";
import type { ServiceDefinition } from "../definition/types.js";
import type { RuntimeName } from "../vocabulary.js";

export interface ListedModule {
  kind: "python" | "node";
  /** Relative to the project's folder. */
  manifest: string;
}

const MANIFESTS = { python: "requirements.txt", node: "package.json" } as const;
const PYTHON = /No module named '?([\w.]{1,200})/;
/** A relative or absolute path is a file of the project, which no manifest lists. */
const NODE = /Cannot find (?:module|package) '([^'./][^']{0,200})'/;

/** @returns the first manifest that lists the module which this line names; null when none does */
export function listedModule(
  line: string,
  service: ServiceDefinition,
  { folder, runtime }: { folder: string; runtime: RuntimeName },
): ListedModule | null {
  const python = PYTHON.exec(line)?.[1];
  const node = NODE.exec(line)?.[1];
  const kind = python === undefined ? "node" : "python";
  const name = python ?? node;
  if (name === undefined) return null;
  for (const path of manifestPaths(sourcePaths(service, folder, runtime), MANIFESTS[kind])) {
    const text = textOf(path, folder);
    const lists = kind === "python" ? requires(text, name) : dependsOn(text, name);
    if (lists) return { kind, manifest: relative(folder, path) };
  }
  return null;
}

const manifestPaths = (sources: readonly SourcePath[], name: string): string[] =>
  sources.map(({ path }) => (basename(path) === name ? path : join(path, name)));

function textOf(path: string, folder: string): string {
  try {
    return readRegularText(path, { within: folder }) ?? "";
  } catch {
    // What cannot be read lists nothing.
    return "";
  }
}

const plain = (name: string): string => name.toLowerCase().replace(/[-_.]+/g, "-");

/** A distribution often has a prefix or suffix that its module lacks: psycopg2-binary, PyYAML, python-dotenv. */
function requires(text: string, module: string): boolean {
  const moduleName = plain(module.split(".")[0] ?? module);
  return text
    .split("\n")
    .map((line) => plain(/^\s*([A-Za-z0-9][\w.-]*)/.exec(line)?.[1] ?? ""))
    .some(
      (name) =>
        [moduleName, `py${moduleName}`, `python-${moduleName}`].includes(name) || name.startsWith(`${moduleName}-`),
    );
}

function dependsOn(text: string, module: string): boolean {
  const name = module
    .split("/")
    .slice(0, module.startsWith("@") ? 2 : 1)
    .join("/");
  try {
    const manifest = JSON.parse(text) as Record<string, Record<string, unknown> | undefined>;
    return ["dependencies", "devDependencies", "optionalDependencies"].some((field) =>
      Object.hasOwn(manifest[field] ?? {}, name),
    );
  } catch {
    return false;
  }
}

/** What to do about a module that a manifest lists. `installs`: the service has an install step of stackwarden. */
export function installAdvice({ kind, manifest }: ListedModule, service: string, installs: boolean): string {
  if (installs)
    return `${manifest} lists the module already, and ${service} has an install step: read what it printed (get_logs with stream "install"), then start the stack.`;
  const step = `\`x-local: { install: { kind: ${kind}, manifest: ${manifest} } }\``;
  const other =
    kind === "node"
      ? "; or run npm install in the folder, so that node_modules is there"
      : "; or, with a container runtime, install it in the image";
  return `${manifest} lists the module already, but it is not installed for ${service}, and no install step was seen. Give the service ${step} in the compose file${other}. Then start the stack.`;
}
