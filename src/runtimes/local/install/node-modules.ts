/**
 * Node.js dependencies of a folder or a workspace (npm, pnpm, Yarn, Bun). They are installed into a tree that has only
 * the manifests and the lock file; its `node_modules` folders then take their places in the project.
 */
import { dirname, join, relative } from "node:path";
import { StackwardenError } from "../../../errors.js";
import { NODE_LOCKS, OWN_SCRIPTS } from "../../shared/manifests/node.js";
import { manifestError, readManifestText } from "../../shared/manifests/read-manifest.js";
import { workspaceManifests, workspaceRoot } from "../../shared/manifests/workspaces.js";
import { ensureDir, namesIn, ownerOf, writePrivateFile } from "../files/create.js";
import { removeTree } from "../files/remove-tree.js";
import type { NodeTool } from "../image/classify.js";
import { npmScript } from "../toolchain/binaries.js";
import { installCommand, NPM } from "../toolchain/install-command.js";
import { dependencies, downloadCache } from "./dependency-cache.js";
import type { InstallContext } from "./install-context.js";
import { installStep } from "./install-step.js";
import { installerEnvironment } from "./installer-environment.js";

const RECIPE = "1";

const LOCKS: Readonly<Record<NodeTool, readonly string[]>> = {
  npm: NODE_LOCKS,
  pnpm: ["pnpm-lock.yaml"],
  yarn: ["yarn.lock"],
  bun: ["bun.lock"],
};
/** Settings of the installers; they can hold credentials of registries. */
const SETTINGS = [".npmrc", ".yarnrc.yml", ".yarnrc", "bunfig.toml"];
const OTHERS = ["pnpm-workspace.yaml", ".pnpmfile.cjs", "lerna.json"];

/** Packages that write into node_modules when a service starts; their node_modules cannot be shared. */
const GENERATORS = ["prisma", "@prisma/client"];
/** Folders of node_modules into which development servers write. */
export const CACHE_FOLDERS = [".vite", ".vite-temp", ".cache"];

export interface NodeInstall {
  tool: NodeTool;
  /** Absolute folder of the package.json. */
  folder: string;
  omitDev: boolean;
  /** Node.js of the service. */
  node: string;
  /** Words that run the tool, and directories for its PATH. */
  program: { argv: string[]; path: string[] };
}

export interface InstalledModules {
  /** Root of the packages: the project's folder or one below. */
  root: string;
  /** The tree with the installed packages. */
  dir: string;
  /** Folders with `node_modules`, relative to both; the root is empty. */
  places: string[];
  /** The service's user may write into it. */
  exclusive: boolean;
  /** The packages of these folders, for what depends on them (`next`). */
  packages: string[];
}

interface Manifest {
  /** Relative to the root. */
  path: string;
  /** Relative to the project's folder, for messages. */
  displayPath: string;
  text: string;
}

const record = (value: unknown): Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};

function parse({ displayPath, text }: Pick<Manifest, "displayPath" | "text">): Record<string, unknown> {
  try {
    return record(JSON.parse(text));
  } catch {
    throw manifestError(`${displayPath} is not valid JSON.`);
  }
}

const dependenciesOf = (manifest: Record<string, unknown>): string[] =>
  ["dependencies", "devDependencies", "optionalDependencies", "peerDependencies"].flatMap((group) =>
    Object.keys(record(manifest[group])),
  );

/** The manifest without scripts that expect the sources, which are absent here. */
function withoutOwnScripts(manifest: Manifest): string {
  const parsed = parse(manifest);
  const scripts = record(parsed.scripts);
  if (!OWN_SCRIPTS.some((name) => name in scripts)) return manifest.text;
  const kept = Object.entries(scripts).filter(([name]) => !OWN_SCRIPTS.includes(name));
  return JSON.stringify({ ...parsed, scripts: Object.fromEntries(kept) }, null, 2);
}

/** The folder that owns the lock file: the workspace's root when the folder is one of its packages. */
function rootOf({ tool, folder }: NodeInstall, project: string): string {
  const has = (at: string, names: readonly string[]): boolean =>
    names.some((name) => readManifestText(join(at, name), project) !== undefined);
  if (has(folder, LOCKS[tool])) return folder;
  return workspaceRoot(join(folder, "package.json"), project) ?? folder;
}

/** Every file that decides what is installed, relative to the root. */
function manifestsOf(root: string, tool: NodeTool, project: string): Manifest[] {
  const files = new Map<string, string>();
  const add = (path: string): void => {
    const text = readManifestText(join(root, path), project);
    if (text !== undefined) files.set(path, text);
  };
  for (const name of ["package.json", ...LOCKS[tool], ...SETTINGS, ...OTHERS]) add(name);
  const text = files.get("package.json");
  const displayPath = relative(project, join(root, "package.json"));
  if (text === undefined) throw manifestError(`${displayPath} does not exist.`);
  const parsed = parse({ displayPath, text });
  if (parsed.workspaces !== undefined || files.has("pnpm-workspace.yaml") || files.has("lerna.json"))
    // In the order of their names: that of a folder's entries would decide whether the same packages are installed again.
    for (const path of workspaceManifests(root, project).sort()) add(relative(root, path));
  const patches = [record(parsed.pnpm).patchedDependencies, parsed.patchedDependencies];
  for (const patch of patches.flatMap((one) => Object.values(record(one))))
    if (typeof patch === "string" && !patch.startsWith("/") && !patch.includes("..")) add(patch);
  return [...files].map(([path, content]) => ({
    path,
    displayPath: relative(project, join(root, path)),
    text: content,
  }));
}

const FROZEN: Readonly<Record<NodeTool, { locked: string[]; free: string[] }>> = {
  npm: { locked: ["ci"], free: ["install"] },
  pnpm: { locked: ["install", "--frozen-lockfile"], free: ["install", "--no-frozen-lockfile"] },
  yarn: { locked: ["install", "--frozen-lockfile"], free: ["install"] },
  bun: { locked: ["install", "--frozen-lockfile"], free: ["install"] },
};
const NO_DEV: Readonly<Record<NodeTool, string>> = {
  npm: "--omit=dev",
  pnpm: "--prod",
  yarn: "--production",
  bun: "--production",
};

/** Arguments of an installation. */
function installArguments(tool: NodeTool, options: { locked: boolean; omitDev: boolean; berry: boolean }): string[] {
  const { locked, omitDev, berry } = options;
  if (tool === "yarn" && berry) return ["install", ...(locked ? ["--immutable"] : [])];
  const quiet = tool === "npm" ? ["--no-audit", "--no-fund"] : [];
  return [...FROZEN[tool][locked ? "locked" : "free"], ...(omitDev ? [NO_DEV[tool]] : []), ...quiet];
}

/** Variables that keep the installers' caches in the download cache. */
const installVariables = (cache: string): Record<string, string> => ({
  npm_config_cache: join(cache, "npm"),
  npm_config_store_dir: join(cache, "pnpm"),
  npm_config_package_import_method: "copy",
  YARN_CACHE_FOLDER: join(cache, "yarn"),
  YARN_ENABLE_GLOBAL_CACHE: "0",
  // CI would forbid a project without a lock file; with one, an option forbids changes.
  YARN_ENABLE_IMMUTABLE_INSTALLS: "0",
  YARN_ENABLE_TELEMETRY: "0",
  YARN_NODE_LINKER: "node-modules",
  BUN_INSTALL_CACHE_DIR: join(cache, "bun"),
  COREPACK_ENABLE_DOWNLOAD_PROMPT: "0",
  CI: "1",
});

/** @returns null when nothing is to be installed */
export async function installNodeModules(
  context: InstallContext,
  request: NodeInstall,
): Promise<InstalledModules | null> {
  const { tool, node, omitDev, program } = request;
  const root = rootOf(request, context.folder);
  const manifests = manifestsOf(root, tool, context.folder);
  const packageFiles = manifests.filter(({ path }) => path.endsWith("package.json"));
  const names = packageFiles.flatMap((one) => dependenciesOf(parse(one)));
  if (names.length === 0) return null;
  const locked = manifests.some(({ path }) => LOCKS[tool].includes(path));
  const berry = manifests.some(({ path }) => path === ".yarnrc.yml");
  const exclusive = names.some((name) => GENERATORS.includes(name));
  const { dir } = await dependencies(context, {
    parts: [
      RECIPE,
      tool,
      node,
      program.argv.join(" "),
      process.arch,
      String(omitDev),
      ...manifests.flatMap(({ path, text }) => [path, text]),
    ],
    exclusive,
    build: async (target) => {
      for (const manifest of manifests) {
        const path = join(target, manifest.path);
        for (const parent of parentsOf(manifest.path)) await ensureDir(join(target, parent), 0o755, context.user);
        const text = manifest.path.endsWith("package.json") ? withoutOwnScripts(manifest) : manifest.text;
        await writePrivateFile(path, text, context.user);
      }
      const args = installArguments(tool, { locked, omitDev, berry });
      await installStep(context, `${tool} ${args[0]}`, {
        // Install scripts of packages run: many need theirs, and they have the same permissions as the service itself.
        argv: [...program.argv, ...args],
        cwd: target,
        env: {
          ...installerEnvironment({ ...context, path: [...program.path, dirname(node)] }),
          ...installVariables(await downloadCache(context)),
        },
      });
      // Other services may be able to read the environment.
      for (const name of SETTINGS) await removeTree(join(target, name), target);
      const modules = join(target, "node_modules");
      if ((await ownerOf(modules)) !== null)
        for (const name of CACHE_FOLDERS) await ensureDir(join(modules, name), 0o755, context.user);
    },
  });
  const folders = packageFiles.map(({ path }) => (path === "package.json" ? "" : dirname(path)));
  const places: string[] = [];
  for (const place of folders) if ((await ownerOf(join(dir, place, "node_modules"))) !== null) places.push(place);
  return { root, dir, places, exclusive, packages: names };
}

const parentsOf = (path: string): string[] => {
  const parts = path.split("/").slice(0, -1);
  return parts.map((_, at) => parts.slice(0, at + 1).join("/"));
};

/** Links for a copy of the sources: installed packages by their absolute path, packages of the workspace as they are. */
export async function linksFor({ dir }: InstalledModules, place: string): Promise<Map<string, string>> {
  const modules = join(dir, place, "node_modules");
  const names = await namesIn(modules);
  return new Map(names.filter((name) => !CACHE_FOLDERS.includes(name)).map((name) => [name, join(modules, name)]));
}

export interface NodeProgram {
  argv: string[];
  path: string[];
}

/** npm of this Node.js. @throws RUNTIME_UNAVAILABLE */
export async function npmOf(node: string): Promise<NodeProgram> {
  const npm = await npmScript(node);
  if (npm !== null) return { argv: [node, npm], path: [dirname(node)] };
  throw new StackwardenError("RUNTIME_UNAVAILABLE", "npm was not found beside Node.js.", {
    hint: `Install npm for this Node.js: ${installCommand(NPM)}`,
    details: { node },
  });
}
