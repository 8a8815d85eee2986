/** Prepares a service that its image or Dockerfile describes: language, dependencies, sources, build commands. */
import { dirname, join, relative } from "node:path";
import { StackwardenError } from "../../../errors.js";
import { isBeneath } from "../../../system/is-beneath.js";
import { statBeneath, UnsafePathError } from "../../../system/read-regular-file.js";
import { realPath } from "../../../system/real-path.js";
import { readManifestText } from "../../shared/manifests/read-manifest.js";
import { ensureDir } from "../files/create.js";
import { ensureMountPoint } from "../files/mount-point.js";
import { removeTree } from "../files/remove-tree.js";
import type { NodeTool } from "../image/classify.js";
import { type AppRecipe, OUTPUT, type Toolchain } from "../image/recipe.js";
import { downloadCache } from "../install/dependency-cache.js";
import type { InstallContext } from "../install/install-context.js";
import { installStep } from "../install/install-step.js";
import { installerEnvironment } from "../install/installer-environment.js";
import { CACHE_FOLDERS, type InstalledModules, installNodeModules, linksFor, npmOf } from "../install/node-modules.js";
import { installPythonEnvironment, isPythonStep } from "../install/python-environment.js";
import { type ToolProgram, toolProgram } from "../install/tools.js";
import type { SandboxMount } from "../process/sandbox.js";
import {
  findToolchain,
  type InstalledToolchain,
  languageName,
  type ToolchainContext,
} from "../toolchain/find-toolchain.js";
import { type CopyLinks, prepareWorkspace, type Workspace, type WorkspaceRequest } from "../workspace.js";
import type { PrepareContext } from "./launch-plan.js";

export interface PreparedRecipe {
  workspace: Workspace;
  /** Directories in front of the services' PATH. */
  path: string[];
  env: Record<string, string>;
  mounts(): Promise<SandboxMount[]>;
  notes: string[];
  /** Replaces the container's paths in a text by those of this machine. */
  place(text: string): string;
}

type Languages = Map<Toolchain["language"], InstalledToolchain>;

/** The one command that installs a version of a language. */
export const INSTALL_COMMANDS: Readonly<Record<Toolchain["language"], (version: string | null) => string>> = {
  node: (version) => `nvm install ${version ?? "--lts"}`,
  python: (version) => `uv python install ${version ?? "3"}`,
  go: () => "apt-get install -y golang-go (macOS: brew install go)",
  bun: () => "npm install -g bun",
};

/** @throws RUNTIME_UNAVAILABLE when a language of the images is missing altogether */
async function languagesOf(
  recipe: AppRecipe,
  service: string,
  search: ToolchainContext,
): Promise<{ languages: Languages; notes: string[] }> {
  const languages: Languages = new Map();
  const notes: string[] = [];
  for (const toolchain of recipe.toolchains) {
    const installed = await findToolchain(toolchain, search);
    const name = languageName(toolchain);
    if (installed === null)
      throw new StackwardenError(
        "RUNTIME_UNAVAILABLE",
        `"${service}" needs ${name} (${toolchain.image}), which a service cannot run here.`,
        {
          hint: `Install it: ${INSTALL_COMMANDS[toolchain.language](toolchain.version)}`,
          details: { service, image: toolchain.image },
        },
      );
    languages.set(toolchain.language, installed);
    if (!installed.matches) notes.push(`Runs ${name} ${installed.version} instead of ${toolchain.image}.`);
  }
  return { languages, notes };
}

/** The version in `"packageManager": "pnpm@9.1.0+sha512…"`. */
function managerVersion(folder: string, project: string, tool: string): string | undefined {
  const text = readManifestText(join(folder, "package.json"), project) ?? "{}";
  return new RegExp(`"packageManager"\\s*:\\s*"${tool}@([^"+]+)`).exec(text)?.[1];
}

class Preparation {
  readonly path: string[] = [];
  readonly env: Record<string, string> = {};
  readonly notes: string[] = [];
  readonly modules: InstalledModules[] = [];
  readonly #tools = new Map<string, ToolProgram>();

  constructor(
    readonly context: PrepareContext,
    readonly install: InstallContext,
    readonly recipe: AppRecipe,
    readonly languages: Languages,
    readonly search: ToolchainContext,
  ) {}

  async tool(name: string, folder?: string): Promise<ToolProgram> {
    const known = this.#tools.get(name);
    if (known !== undefined) return known;
    const node = this.languages.get("node")?.program;
    const python = this.languages.get("python")?.program;
    const version = folder === undefined ? undefined : managerVersion(folder, this.context.stack.folder, name);
    const program =
      name === "npm" && node !== undefined
        ? await npmOf(node)
        : await toolProgram(
            this.install,
            {
              name,
              ...(node === undefined ? {} : { node }),
              ...(python === undefined ? {} : { python }),
              ...(version === undefined ? {} : { version }),
            },
            this.search,
          );
    this.#tools.set(name, program);
    this.path.push(...program.path);
    return program;
  }

  async #node(): Promise<string> {
    const known = this.languages.get("node");
    if (known !== undefined) return known.program;
    const toolchain = { language: "node", version: null, image: "node" } as const;
    const { languages } = await languagesOf(
      { ...this.recipe, toolchains: [toolchain] },
      this.install.service,
      this.search,
    );
    const installed = languages.get("node") as InstalledToolchain;
    this.languages.set("node", installed);
    return installed.program;
  }

  async installAll(): Promise<void> {
    const python = this.recipe.installs.filter(isPythonStep);
    const installed = this.languages.get("python");
    if (python.length > 0 && installed !== undefined) {
      const venv = await installPythonEnvironment(
        { ...this.install, use: "python" },
        {
          steps: python,
          python: installed.program,
          version: installed.version ?? "",
          tool: (name) => this.tool(name),
        },
      );
      this.path.unshift(join(venv, "bin"));
      this.env.VIRTUAL_ENV = venv;
    }
    const folders = new Set<string>();
    for (const { installation, folder } of this.recipe.installs) {
      if (installation.language !== "node" || folders.has(folder)) continue;
      folders.add(folder);
      await this.#installNode(installation.tool, folder, installation.omitDev);
    }
  }

  async #installNode(tool: NodeTool, folder: string, omitDev: boolean): Promise<void> {
    const node = await this.#node();
    const program = await this.tool(tool, folder);
    const use = this.modules.length === 0 ? "node" : `node-${this.modules.length + 1}`;
    const modules = await installNodeModules({ ...this.install, use }, { tool, folder, omitDev, node, program });
    if (tool === "yarn") {
      // `yarn run` of later versions writes beside package.json, where the service may not.
      this.env.YARN_INSTALL_STATE_PATH = join(this.context.tmp, "yarn-install-state.gz");
      this.env.YARN_CACHE_FOLDER = join(this.context.tmp, "yarn-cache");
    }
    if (modules === null || this.modules.some(({ dir }) => dir === modules.dir)) return;
    this.modules.push(modules);
    const inner = relative(modules.root, folder);
    for (const place of new Set([inner, ""])) this.path.unshift(join(modules.dir, place, "node_modules", ".bin"));
  }

  /** Packages in their places in the project's folder, seen by the service alone. */
  async moduleMounts(): Promise<SandboxMount[]> {
    const { stack, user, base } = this.context;
    const mounts: SandboxMount[] = [];
    for (const { root, dir, places, exclusive } of this.modules)
      for (const place of places) {
        const target = await ensureMountPoint(join(root, place), "node_modules", stack.folder, stack.stateDir);
        const source = join(dir, place, "node_modules");
        mounts.push({ source, target, readOnly: !exclusive });
        if (exclusive || place !== "") continue;
        const caches = await ensureDir(join(base, "caches"), 0o711);
        for (const name of CACHE_FOLDERS) {
          const cache = await ensureDir(join(caches, name), 0o700, user);
          mounts.push({ source: cache, target: join(target, name), readOnly: false });
        }
      }
    return mounts;
  }

  async links(): Promise<CopyLinks[]> {
    const { folder } = this.context.stack;
    const links: CopyLinks[] = [];
    for (const modules of this.modules)
      for (const place of modules.places)
        links.push({
          at: join(relative(folder, modules.root), place, "node_modules"),
          targets: await linksFor(modules, place),
        });
    return links;
  }
}

/** Build commands write beside the sources, which the service's user may not be able to do in the project's folder. */
const needsCopy = (recipe: AppRecipe): string | undefined => {
  const [build] = recipe.builds;
  return build === undefined
    ? undefined
    : `line ${build.line} of its Dockerfile builds files beside the sources (${build.text.slice(0, 60)})`;
};

const PREFIX = String.raw`(?<=^|[\s=:"'(,\[]|///)`;
const SUFFIX = String.raw`(?=$|[/\s:"'),;\]])`;
const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");

/** Compilers write their result there when nothing else is changed: `go build -o /bin/app`. */
const writesElsewhere = ({ text }: AppRecipe["builds"][number]): boolean =>
  /^(?:[A-Z_]+=\S*\s+)*go\s/.test(text) && text.includes(" -o ");

function isInside(path: string, project: string): boolean {
  try {
    return isBeneath(project, path) && statBeneath(path, project) !== undefined;
  } catch (error) {
    if (error instanceof UnsafePathError) return false;
    throw error;
  }
}

export async function prepareRecipe(
  context: PrepareContext,
  install: InstallContext,
  recipe: AppRecipe,
): Promise<PreparedRecipe> {
  const { stack, user, host, request } = context;
  const { folder, stateDir } = stack;
  const search = { user, host, client: context.client };
  const { languages, notes } = await languagesOf(recipe, request.service.name, search);
  const preparation = new Preparation(context, install, recipe, languages, search);
  await preparation.installAll();
  for (const name of recipe.tools) await preparation.tool(name);
  const [program = ""] = recipe.argv;
  if (/^(pnpm|yarn|bun)$/.test(program) && !languages.has("bun")) await preparation.tool(program, recipe.workingDir);
  const own = host.sandboxEnforcement().level === "enforced";
  const builds = recipe.builds.filter((one) => !writesElsewhere(one));
  const because = builds.length > 0 && user.mayWrite !== true ? needsCopy({ ...recipe, builds }) : undefined;
  const common: WorkspaceRequest = {
    folder,
    workingDir: recipe.workingDir,
    stateDir,
    service: request.service.name,
    user,
    host,
  };
  const hasModules = preparation.modules.length > 0;
  const copyBecause =
    because ??
    (hasModules && !own
      ? "its node_modules must lie beside the sources and the project's folder is left unchanged"
      : undefined);
  const workspace = await prepareWorkspace({
    ...common,
    ...(copyBecause === undefined ? {} : { copyBecause, links: await preparation.links() }),
    ...(copyBecause === undefined && hasModules ? { linksIfCopied: () => preparation.links() } : {}),
  });
  const mounts = async (): Promise<SandboxMount[]> => (workspace.copied ? [] : preparation.moduleMounts());
  const output = join(stateDir, "work", request.service.name, "out");
  await removeTree(output, stateDir);
  await ensureDir(output, 0o755, user);
  const hostOf = (path: string): string => {
    if (path.startsWith(OUTPUT)) return join(output, path.slice(OUTPUT.length));
    return workspace.copied && isBeneath(folder, path) ? join(workspace.root, relative(folder, path)) : path;
  };
  const mappings = recipe.paths.map(({ container, host: path }) => ({
    pattern: new RegExp(`${PREFIX}${escaped(container)}${SUFFIX}`, "g"),
    host: hostOf(path),
  }));
  const place = (text: string): string =>
    mappings.reduce((result, { pattern, host: path }) => result.replace(pattern, () => path), text);
  for (const [language, { program: path }] of languages) {
    // The program can be a link to a folder that namespaces would hide, as `~/.local/bin/node` is.
    preparation.path.push(dirname(path), dirname(realPath(path)));
    if (language === "go") Object.assign(preparation.env, await goVariables(install));
  }
  pythonSources(preparation, hostOf);
  await runBuilds(preparation, recipe, { hostOf, place, mounts });
  return {
    workspace,
    path: [...new Set(preparation.path)],
    env: preparation.env,
    mounts,
    notes: [...recipe.notes, ...notes, ...preparation.notes],
    place,
  };
}

async function goVariables(install: InstallContext): Promise<Record<string, string>> {
  const cache = await downloadCache(install);
  return { GOPATH: join(cache, "go"), GOCACHE: join(cache, "go-build"), GOFLAGS: "-modcacherw" };
}

/** `PYTHONPATH` of a service: the project's sources come before the folders that the definition names. */
export const pythonPath = (sources: string | undefined, written: string | undefined): Record<string, string> => {
  const folders = [sources, written].filter((one) => one !== undefined && one !== "");
  return folders.length === 0 ? {} : { PYTHONPATH: folders.join(":") };
};

/** A project that was installed as a package is imported from its sources instead. */
function pythonSources({ recipe, env, context }: Preparation, hostOf: (path: string) => string): void {
  const roots = recipe.installs
    .filter(isPythonStep)
    .filter(
      ({ installation }) => installation.tool !== "pip" || installation.packages.some((one) => one.startsWith(".")),
    )
    .flatMap(({ folder }) => [join(folder, "src"), folder].filter((path) => isInside(path, context.stack.folder)));
  if (roots.length > 0) env.PYTHONPATH = [...new Set(roots.map(hostOf))].join(":");
}

async function runBuilds(
  { context, install, path, env }: Preparation,
  { builds }: AppRecipe,
  { hostOf, place, mounts }: Pick<PreparedRecipe, "place" | "mounts"> & { hostOf(path: string): string },
): Promise<void> {
  if (builds.length === 0) return;
  context.request.phase("building");
  const base = installerEnvironment({ ...context, path });
  const step = { ...install, mounts: await mounts() };
  for (const build of builds) {
    const own = Object.fromEntries(
      Object.entries(build.env)
        .filter(([name]) => name !== "PATH")
        .map(([name, value]) => [name, place(value)]),
    );
    await installStep(step, `Dockerfile line ${build.line}: ${build.text.slice(0, 60)}`, {
      argv: ["/bin/sh", "-c", place(build.text)],
      cwd: hostOf(build.folder),
      env: { ...base, ...own, ...env, ...pythonPath(env.PYTHONPATH, own.PYTHONPATH), CI: "1" },
    });
  }
}
