/** App services: the project's own programs, with their dependencies from the state directory. */
import { basename, dirname, join, relative, resolve } from "node:path";
import { StackwardenError } from "../../../errors.js";
import { installSink } from "../../../stack/logs/sink.js";
import { PORT_OVERRIDDEN } from "../../../stack/runtime.js";
import { findIn } from "../../../system/find-program.js";
import { isBeneath } from "../../../system/is-beneath.js";
import { readNodeManifest } from "../../shared/manifests/node.js";
import {
  type AddressBook,
  rewriteContainerCommand,
  rewriteEnvironment,
  rewriteText,
} from "../addresses/address-rewrite.js";
import { hostNames } from "../addresses/host-names.js";
import { ensureDir, writePrivateFile } from "../files/create.js";
import { notRunnable } from "../image/translate.js";
import type { InstallContext } from "../install/install-context.js";
import { NO_UPDATE_CHECK } from "../install/installer-environment.js";
import { installNode } from "../install/node.js";
import { installPython, pythonFor } from "../install/python.js";
import type { SandboxMount } from "../process/sandbox.js";
import { inFolders } from "../process/sandbox-host.js";
import { nodeFor, npmScript, SERVICE_PATH } from "../toolchain/binaries.js";
import { findClientTool } from "../toolchain/find-toolchain.js";
import type { TranslatedService } from "../types.js";
import { prepareWorkspace, type Workspace, type WorkspaceRequest } from "../workspace.js";
import { prepareRecipe, pythonPath } from "./app-recipe.js";
import { appVolumes, type VolumePlaces } from "./app-volumes.js";
import { hiddenPathNotes } from "./hidden-paths.js";
import type { LaunchPlan, PrepareContext } from "./launch-plan.js";
import { languageNote } from "./program-version.js";

/** @throws UNSUPPORTED when the definition has no command that works without the container */
export function appCommand(service: TranslatedService): { argv: string[]; container: boolean } {
  if (service.local?.command !== undefined) return { argv: service.local.command, container: false };
  if (service.recipe !== undefined) return { argv: service.recipe.argv, container: true };
  const argv = [...(service.entrypoint ?? []), ...(service.command ?? [])];
  if (service.local !== undefined && argv.length > 0) return { argv, container: true };
  throw notRunnable(service);
}

interface Tools {
  /** Directory in front of the services' PATH. */
  path: string[];
  env: Record<string, string>;
}

/** Resolves a program name of a definition to a path: `python`, `npm`, `node`, or a program on PATH. */
export async function resolveProgram(
  argv: string[],
  cwd: string,
  tools: Tools,
  context: Pick<PrepareContext, "user" | "host"> & Partial<Pick<PrepareContext, "client">>,
): Promise<string[]> {
  const [name = "", ...rest] = argv;
  if (name.includes("/")) return [resolve(cwd, name), ...rest];
  const own = await findIn([name, ...(name === "python" ? ["python3"] : [])], tools.path);
  if (own !== null && name !== "npm" && name !== "npx") return [own, ...rest];
  if (name === "node") return [await nodeFor(context.user, context.host), ...rest];
  if (name === "npm" || name === "npx") {
    const node = (await findIn(["node"], tools.path)) ?? (await nodeFor(context.user, context.host));
    const script = await npmScript(node, name);
    if (script !== null) return [node, script, ...rest];
  }
  if (name === "python" || name === "python3") return [await pythonFor(context), ...rest];
  const systemProgram = await findIn([name], SERVICE_PATH);
  if (systemProgram !== null) return [systemProgram, ...rest];
  const clients =
    context.client === undefined ? null : await findClientTool(name, { ...context, client: context.client });
  if (clients !== null) return [clients.program, ...rest];
  throw new StackwardenError("SERVICE_START_FAILED", `The program "${name}" was not found.`, {
    hint: `Add it to the service's dependencies and install them with x-local.install, e.g. { kind: python, manifest: requirements.txt } or { kind: node, manifest: package.json }; or name it by its path in x-local.command; or install it below ${SERVICE_PATH.join(", ")}.`,
  });
}

function installContext(context: PrepareContext): InstallContext {
  const { request, user, host, home, tmp, stack, retry } = context;
  return {
    project: stack.projectId,
    projectStateDir: stack.stateDir,
    folder: stack.folder,
    service: request.service.name,
    services: Object.keys(stack.definition.services),
    limits: request.limits,
    user,
    host,
    sink: installSink(request.sink),
    signal: request.signal,
    home,
    tmp,
    retry,
    notice: stack.notice,
    phase: request.phase,
  };
}

/** What a start needs of the installation: the sources, with dependencies installed and build commands run. */
export interface InstalledApp {
  workspace: Workspace;
  tools: Tools;
  /** They have folders in the directory of the instance, which each start creates. */
  mounts?(): Promise<readonly SandboxMount[]>;
  notes?: string[];
  place?(text: string): string;
}

/**
 * Runs before the sources are copied: the copy gets a node_modules of links before its user can change anything in it.
 */
async function withNodeModules(
  context: PrepareContext,
  manifest: string,
  common: WorkspaceRequest,
): Promise<InstalledApp> {
  const node = dirname(await nodeFor(context.user, context.host));
  const modules = await installNode(installContext(context), readNodeManifest(manifest, common.folder));
  if (modules === null) return { workspace: await prepareWorkspace(common), tools: { path: [node], env: {} } };
  const workspace = await prepareWorkspace({
    ...common,
    copyBecause: "its node_modules must lie beside the sources and the project's folder is left unchanged",
    links: [{ at: join(relative(common.folder, dirname(manifest)), "node_modules"), targets: modules.links }],
  });
  return { workspace, tools: { path: [join(modules.dir, ".bin"), node], env: {} } };
}

/**
 * Installs the dependencies of an app and runs its build commands, in the folder or the copy that the service will run
 * in.
 */
export async function installApp(context: PrepareContext): Promise<InstalledApp> {
  const { service } = context.request;
  const { folder, stateDir } = context.stack;
  const install = service.local?.install;
  const { recipe } = service;
  if (recipe !== undefined && install === undefined) {
    const { workspace, path, env, ...rest } = await prepareRecipe(context, installContext(context), recipe);
    return { workspace, tools: { path, env }, ...rest };
  }
  const common: WorkspaceRequest = {
    folder,
    workingDir: service.local?.workingDir ?? recipe?.workingDir ?? folder,
    stateDir,
    service: service.name,
    user: context.user,
    host: context.host,
  };
  if (install?.kind === "node") return withNodeModules(context, resolve(folder, install.manifest), common);
  const workspace = await prepareWorkspace(common);
  if (install === undefined) return { workspace, tools: { path: [], env: {} } };
  const { venv } = await installPython(installContext(context), resolve(folder, install.manifest), workspace.root);
  return { workspace, tools: { path: [join(venv, "bin")], env: { VIRTUAL_ENV: venv } } };
}

/** Secrets that a container would have at /run/secrets, as files that belong to the service's user. */
async function secretFiles(context: PrepareContext): Promise<{ files: Map<string, string>; notes: string[] }> {
  const { service } = context.request;
  const files = new Map<string, string>();
  if (service.secrets.length === 0) return { files, notes: [] };
  const dir = await ensureDir(join(context.base, "secrets"), 0o711);
  for (const { source, target } of service.secrets) {
    const value = context.stack.definition.secrets[source];
    if (value === undefined) continue;
    files.set(`/run/secrets/${target}`, await writePrivateFile(join(dir, basename(target)), value, context.user));
  }
  return {
    files,
    notes: [`Secrets are files in ${dir} instead of /run/secrets; variables that name one point there.`],
  };
}

/**
 * PORT in the compose file is the container port; here the service listens on the host port instead.
 * @returns notes for the service
 */
function ownPort(env: Record<string, string>, service: string, port: number | undefined, book: AddressBook): string[] {
  const { PORT: written } = env;
  if (port === undefined || written === undefined || written === String(port)) return [];
  const mapped = /^\d{1,5}$/.test(written) ? book.hostPort(service, Number(written)) : undefined;
  if (mapped === undefined) return [`${PORT_OVERRIDDEN} ${written}, but it must listen on ${port} to be reached.`];
  env.PORT = String(mapped);
  return [`PORT is ${mapped} instead of ${written}: the host port of its port ${written}.`];
}

/** The folders of the container that binds, the Dockerfile or `working_dir` map to folders of the project. */
function containerFolders({ request, stack }: PrepareContext, { root, cwd }: Workspace): VolumePlaces["folders"] {
  const { service } = request;
  const hostOf = (path: string): string =>
    isBeneath(stack.folder, path) ? join(root, relative(stack.folder, path)) : path;
  const binds = service.mounts.flatMap((one) =>
    one.type === "bind" && isBeneath(stack.folder, one.source)
      ? [{ container: one.target, host: hostOf(one.source) }]
      : [],
  );
  const recipe = (service.recipe?.paths ?? []).map(({ container, host }) => ({ container, host: hostOf(host) }));
  const known = [...binds, ...recipe];
  const { workingDir } = service;
  if (workingDir === undefined || known.some(({ container }) => isBeneath(container, workingDir))) return known;
  return [...known, { container: workingDir, host: cwd }];
}

const same = (text: string): string => text;

const mapValues = (values: Record<string, string>, change: (text: string) => string): Record<string, string> =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [name, change(value)]));

/** @param installed of the preparation before this start. Absent: dependencies are installed now. */
export async function prepareApp(context: PrepareContext, installed?: InstalledApp): Promise<LaunchPlan> {
  const { request, book, home, tmp, user } = context;
  const { service } = request;
  const { argv: words, container } = appCommand(service);
  const prepared = installed ?? (await installApp(context));
  const { workspace, tools, notes: about = [] } = prepared;
  // Installed packages are there without the volume that keeps them out of a bind.
  const isInstalled = (target: string): boolean =>
    (service.recipe !== undefined || service.local?.install !== undefined) &&
    /\/(node_modules|\.venv|venv)$/.test(target);
  const volumes = await appVolumes(context, {
    folders: containerFolders(context, workspace),
    root: workspace.root,
    needed: [workspace.root, workspace.cwd, context.stack.folder, context.stack.stateDir, ...tools.path],
    isInstalled,
  });
  const mounts = [...((await prepared.mounts?.()) ?? []), ...volumes.mounts];
  const place = (text: string): string => (prepared.place ?? same)(volumes.place(text));
  const notes = [...workspace.notes, ...about, ...volumes.notes];
  const secrets = await secretFiles(context);
  notes.push(...secrets.notes);
  const written = { ...service.recipe?.environment, ...service.environment, ...service.local?.environment };
  const rewrite = rewriteEnvironment(mapValues(written, place), service.name, book);
  notes.push(...rewrite.notes);
  const rewritten = container
    ? rewriteContainerCommand(words.map(place), service.name, book)
    : words.map((word) => rewriteText(word, service.name, book));
  if (container && rewritten.join(" ") !== words.map(place).join(" "))
    notes.push(`Its command was rewritten: ${rewritten.join(" ")}`);
  const first = book.ports(service.name)[0];
  const port = first === undefined ? undefined : book.hostPort(service.name, first);
  const env: Record<string, string> = {
    LANG: "C.UTF-8",
    HOME: home,
    TMPDIR: tmp,
    PYTHONDONTWRITEBYTECODE: "1",
    PYTHONUNBUFFERED: "1",
    ...NO_UPDATE_CHECK,
    ...(port === undefined ? {} : { PORT: String(port), HOST: "127.0.0.1" }),
    ...tools.env,
  };
  for (const [name, value] of Object.entries(rewrite.environment)) env[name] = secrets.files.get(value) ?? value;
  Object.assign(env, pythonPath(tools.env.PYTHONPATH, rewrite.environment.PYTHONPATH));
  notes.push(...ownPort(env, service.name, port, book));
  env.PATH = [
    ...tools.path,
    ...(rewrite.environment.PATH === undefined ? SERVICE_PATH : [rewrite.environment.PATH]),
  ].join(":");
  const find = (argv: string[]) =>
    resolveProgram(argv, workspace.cwd, tools, { user, host: context.host, client: context.client });
  const argv = await find(rewritten);
  const isNamedByPath = rewritten[0]?.includes("/") === true;
  const programs = [...inFolders(tools.path), ...(isNamedByPath ? [] : argv.slice(0, 1))];
  notes.push(
    ...(await hiddenPathNotes(context.host, {
      words: rewritten,
      env: mapValues(written, place),
      user,
      view: { visible: [context.stack.folder, context.stack.stateDir], programs, mounts },
    })),
  );
  const hosts = await writePrivateFile(
    join(context.base, "hosts"),
    hostNames(book, service.name, context.machine),
    user,
  );
  if (service.recipe === undefined) notes.push(...(await languageNote(service, argv[0] ?? "", context)));
  return {
    argv,
    cwd: workspace.cwd,
    env,
    notes,
    emptyVolumes: volumes.emptyVolumes,
    mounts,
    files: { [hosts]: "/etc/hosts" },
    programs,
    ...(volumes.groups.length === 0 ? {} : { groups: volumes.groups }),
    access: null,
    resolve: find,
  };
}
