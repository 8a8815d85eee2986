/**
 * Packages of a workspace (npm, Yarn, pnpm). Their names are private to the project and must never be sent to a
 * registry.
 */
import { dirname, join, relative } from "node:path";
import { listBeneath } from "../../../system/list-beneath.js";
import { statBeneath, UnsafePathError } from "../../../system/read-regular-file.js";
import { manifestError, readManifestText } from "./read-manifest.js";

const ROOT_FILES = ["pnpm-workspace.yaml", "lerna.json"];
const SKIPPED = new Set(["node_modules", ".git", ".venv", "venv", "dist", "build"]);
const MAX_DEPTH = 6;
const MAX_FOLDERS = 2000;
const MAX_ENTRIES = 5000;

function packageJson(path: string, folder: string): Record<string, unknown> | undefined {
  const text = readManifestText(path, folder);
  if (text === undefined) return undefined;
  try {
    const parsed: unknown = JSON.parse(text);
    return typeof parsed === "object" && parsed !== null ? (parsed as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

const isRoot = (at: string, folder: string): boolean =>
  packageJson(join(at, "package.json"), folder)?.workspaces !== undefined ||
  ROOT_FILES.some((name) => readManifestText(join(at, name), folder) !== undefined);

/** The outermost folder that declares workspaces, between the manifest's folder and the project's. */
export function workspaceRoot(manifest: string, folder: string): string | undefined {
  let root: string | undefined;
  for (let at = dirname(manifest); ; at = dirname(at)) {
    if (isRoot(at, folder)) root = at;
    if (at === folder || at === dirname(at)) return root;
  }
}

/**
 * Lists the subfolders. Undefined for everything but a folder; links are not followed, because they can form a cycle.
 */
function entriesOf(path: string, folder: string): string[] | undefined {
  try {
    const at = statBeneath(path, folder);
    return at?.kind === "folder" && at.path === path ? listBeneath(path, folder, MAX_ENTRIES) : undefined;
  } catch (error) {
    if (error instanceof UnsafePathError) return undefined;
    throw error;
  }
}

/**
 * Every package.json below the workspace root but its own, including those that its patterns do not match.
 * @throws DEPENDENCY_INSTALL_FAILED when there are too many folders to search
 */
export function workspaceManifests(root: string, folder: string): string[] {
  const manifests: string[] = [];
  let folders = 0;
  const search = (at: string, depth: number): void => {
    const entries = entriesOf(at, folder);
    if (entries === undefined) return;
    folders += 1;
    if (folders > MAX_FOLDERS)
      throw manifestError(`The workspace ${relative(folder, root) || "."} has more than ${MAX_FOLDERS} folders.`);
    if (at !== root && entries.includes("package.json")) manifests.push(join(at, "package.json"));
    if (depth === MAX_DEPTH) return;
    for (const entry of entries) if (!SKIPPED.has(entry) && !entry.startsWith(".")) search(join(at, entry), depth + 1);
  };
  search(root, 0);
  return manifests;
}

/**
 * Names of all packages below the workspace root: an additional name only means that the installation is refused with
 * the reason.
 * @returns an empty set when no workspaces are declared
 * @throws DEPENDENCY_INSTALL_FAILED when there are too many folders to search
 */
export function workspacePackages(manifest: string, folder: string): Set<string> {
  const root = workspaceRoot(manifest, folder);
  const names = new Set<string>();
  if (root === undefined) return names;
  const own = join(root, "package.json");
  for (const path of [own, ...workspaceManifests(root, folder)]) {
    if (path === manifest) continue;
    const name = packageJson(path, folder)?.name;
    if (typeof name === "string" && name !== "") names.add(name);
  }
  return names;
}
