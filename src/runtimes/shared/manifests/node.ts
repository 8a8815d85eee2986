/** `package.json` with its lock file and the settings of npm. */
import { dirname, join, relative } from "node:path";
import { StackwardenError } from "../../../errors.js";
import { manifestError, readManifestText, requireManifestText } from "./read-manifest.js";
import { workspacePackages } from "./workspaces.js";

export const NODE_LOCKS = ["package-lock.json", "npm-shrinkwrap.json"];
export const NPM_SETTINGS = ".npmrc";
const GROUPS = ["dependencies", "devDependencies", "optionalDependencies", "peerDependencies"];

/** Scripts that expect the package's sources, which are absent: dependencies are installed separately. */
export const OWN_SCRIPTS: readonly string[] = [
  "preinstall",
  "install",
  "postinstall",
  "preprepare",
  "prepare",
  "postprepare",
  "prepublish",
];

const LOCAL_PACKAGE = /^(?:file|link|workspace|portal):(?!\/)|^\.{1,2}\//;

export interface NodeManifest {
  /** Name and content of every file that npm reads. */
  files: [name: string, text: string][];
  locked: boolean;
  empty: boolean;
  /** Scripts of the package that npm would run during an installation. */
  ownScripts: string[];
  /** Names of the packages in its dependencies. */
  packages: string[];
  /** The text of package.json without its scripts. */
  withoutScripts: string;
}

const record = (value: unknown): Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};

/** @throws DEPENDENCY_INSTALL_FAILED */
function parsePackage(manifest: string, folder: string, text: string): Record<string, unknown> {
  const displayPath = relative(folder, manifest);
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    // The parser's message contains text of the file.
    throw manifestError(`${displayPath} is not valid JSON.`);
  }
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed))
    throw manifestError(`${displayPath} is not a JSON object.`);
  return parsed as Record<string, unknown>;
}

const ownPackages = (displayPath: string, names: string[]): StackwardenError =>
  new StackwardenError(
    "UNSUPPORTED",
    `${displayPath} uses packages of the project's own folders: ${names.join(", ")}.`,
    {
      hint: "Leave x-local.install out and run npm install in the folder yourself, or build an image of the service (`build`) for another runtime.",
    },
  );

/**
 * @param folder the project's folder
 * @throws DEPENDENCY_INSTALL_FAILED when package.json is missing or is not a JSON object; UNSUPPORTED when it depends
 * on packages of the project, whose names must never be sent to a registry
 */
export function readNodeManifest(manifest: string, folder: string): NodeManifest {
  const displayPath = relative(folder, manifest);
  const text = requireManifestText(manifest, folder);
  const parsed = parsePackage(manifest, folder, text);
  const files: [string, string][] = [["package.json", text]];
  for (const name of [...NODE_LOCKS, NPM_SETTINGS]) {
    const other = readManifestText(join(dirname(manifest), name), folder);
    if (other !== undefined) files.push([name, other]);
  }
  const dependencies = GROUPS.flatMap((group) => Object.entries(record(parsed[group])));
  const local = dependencies.filter(([, spec]) => LOCAL_PACKAGE.test(String(spec))).map(([name]) => name);
  if (local.length > 0) throw ownPackages(displayPath, local);
  if (dependencies.length > 0) {
    const own = workspacePackages(manifest, folder);
    const private_ = dependencies.map(([name]) => name).filter((name) => own.has(name));
    if (private_.length > 0) throw ownPackages(displayPath, private_);
    if (parsed.workspaces !== undefined && own.size > 0)
      throw new StackwardenError(
        "UNSUPPORTED",
        `${displayPath} is the root of npm workspaces (${[...own].slice(0, 5).join(", ")}).`,
        {
          hint: "Name the package.json of one workspace in x-local.install.manifest, or leave x-local.install out and run npm install in the folder yourself.",
        },
      );
  }
  const scripts = Object.keys(record(parsed.scripts));
  return {
    files,
    locked: files.some(([name]) => NODE_LOCKS.includes(name)),
    empty: dependencies.length === 0,
    ownScripts: OWN_SCRIPTS.filter((name) => scripts.includes(name)),
    packages: dependencies.map(([name]) => name),
    withoutScripts: JSON.stringify({ ...parsed, scripts: {} }),
  };
}
