/**
 * Decides for each service of a definition how it runs on this machine: as a server of the machine (a provider), by
 * `x-local.command`, or as its image or Dockerfile says.
 */
import { basename, join, posix } from "node:path";
import { StackwardenError } from "../../../errors.js";
import { providerOfImage, resemblesProvider } from "../../../stack/definition/image-name.js";
import type {
  BindMount,
  BuildDefinition,
  ServiceDefinition,
  StackDefinition,
} from "../../../stack/definition/types.js";
import { readRegularText, UnsafePathError } from "../../../system/read-regular-file.js";
import { serverOfImage } from "../servers/images.js";
import { requireOptions } from "../servers/require-options.js";
import type { TranslatedService } from "../types.js";
import type { ImageRecipe } from "./dockerfile.js";
import { type AppRecipe, appRecipe, isLanguageImage } from "./recipe.js";

const MAX_DOCKERFILE = 262_144;

const unreadable = (service: ServiceDefinition, message: string, hint: string): StackwardenError =>
  new StackwardenError("UNSUPPORTED", `The local runtime cannot run "${service.name}": ${message}`, {
    hint,
    details: { service: service.name },
  });

/** @throws UNSUPPORTED when the Dockerfile is missing or has not the requested stage */
async function recipeOfBuild(service: ServiceDefinition, build: BuildDefinition, folder: string): Promise<ImageRecipe> {
  const path = join(build.context, build.dockerfile ?? "Dockerfile");
  const file = build.dockerfile?.startsWith("/") ? build.dockerfile : path;
  let text = build.dockerfileInline;
  try {
    text ??= readRegularText(file, { within: folder, maxBytes: MAX_DOCKERFILE });
  } catch (error) {
    if (!(error instanceof UnsafePathError)) throw error;
    throw unreadable(service, error.message, "Correct services.<name>.build.");
  }
  if (text === undefined)
    throw unreadable(
      service,
      `${basename(file)} does not exist in ${build.context}.`,
      `Write it, or add services.${service.name}.x-local.command.`,
    );
  // Most stacks have no Dockerfile, and the parser is a third of the code of this runtime.
  const { readDockerfile } = await import("./dockerfile.js");
  const recipe = readDockerfile(text, build.args, build.target);
  if (recipe === null)
    throw unreadable(
      service,
      build.target === undefined ? "its Dockerfile has no FROM." : `its Dockerfile has no stage ${build.target}.`,
      `Correct the Dockerfile or services.${service.name}.build.target.`,
    );
  return recipe;
}

/** Files that a Dockerfile adds to a provider's image, as binds. */
function copiedFiles(recipe: ImageRecipe, build: BuildDefinition): BindMount[] {
  return recipe.steps.flatMap((step) => {
    if (step.kind !== "copy" || step.from !== undefined) return [];
    return step.sources.map((source): BindMount => {
      const target = step.target.endsWith("/") ? posix.join(step.target, basename(source)) : step.target;
      return { type: "bind", source: join(build.context, posix.join("/", source)), target, readOnly: true };
    });
  });
}

/** @throws UNSUPPORTED when nothing says how the service runs without a container */
export async function translateService(service: ServiceDefinition, folder: string): Promise<TranslatedService> {
  const { local, image, build } = service;
  if (local?.provider !== undefined || local?.command !== undefined) return service;
  if (build !== undefined) {
    const recipe = await recipeOfBuild(service, build, folder);
    const provider = providerOfImage(recipe.base);
    if (provider !== null)
      return {
        ...service,
        environment: { ...recipe.env, ...service.environment },
        mounts: [...copiedFiles(recipe, build), ...service.mounts],
        local: { environment: {}, ...local, provider },
        baseImage: recipe.base,
      };
    const server = serverOfImage(recipe.base);
    if (server !== null && recipe.steps.every(({ kind, ...step }) => kind === "copy" && !("from" in step)))
      return {
        ...service,
        image: recipe.base,
        environment: { ...recipe.env, ...service.environment },
        mounts: [...copiedFiles(recipe, build), ...service.mounts],
        server,
      };
    return withRecipe(service, appRecipe(service, recipe, build.context, folder), recipe);
  }
  if (image !== undefined && providerOfImage(image) !== null) return service;
  const server = image === undefined ? null : serverOfImage(image);
  if (server !== null) return { ...service, server };
  if (image !== undefined && isLanguageImage(image))
    return withRecipe(service, appRecipe(service, null, null, folder), null);
  if (local !== undefined && [...(service.entrypoint ?? []), ...(service.command ?? [])].length > 0) return service;
  throw notRunnable(service);
}

function withRecipe(service: ServiceDefinition, recipe: AppRecipe, image: ImageRecipe | null): TranslatedService {
  if (recipe.argv.length === 0)
    throw unreadable(
      service,
      `neither ${image === null ? "its image's name" : "its Dockerfile"} nor the compose file says what it runs.`,
      `Add services.${service.name}.command.`,
    );
  const base = image?.base ?? service.image;
  return { ...service, recipe, ...(base === undefined ? {} : { baseImage: base }) };
}

/** The error for a service that needs a container. */
export function notRunnable(service: ServiceDefinition): StackwardenError {
  const what = service.image ?? (service.build === undefined ? "no image" : "an image built from the project");
  const resembled = service.image === undefined ? null : resemblesProvider(service.image);
  const asServer =
    resembled === null
      ? ""
      : ` Only the official image of ${resembled} is replaced by this machine's server; for another one write services.${service.name}.x-local.provider: ${resembled}.`;
  return new StackwardenError("UNSUPPORTED", `The local runtime cannot run "${service.name}" (${what}).`, {
    hint: `Add services.${service.name}.x-local.command: how to run it without a container. In it, {port} stands for the port to listen on, e.g. [uvicorn, "app:app", --port, "{port}"]; x-local.install installs its dependencies. Or leave it out (without: ["${service.name}"]), or use a runtime with containers.${asServer}`,
    details: { service: service.name },
  });
}

const REFERENCE = /(?<![\w.-])([a-zA-Z0-9][\w.-]*):(\d{2,5})(?!\d)/g;

/** Ports of services that other services name (`http://api:3000`), or that a service's own PORT names. */
function namedPorts(definition: StackDefinition): Map<string, Set<number>> {
  const ports = new Map<string, Set<number>>();
  const add = (service: string, port: number): void => {
    if (definition.services[service] === undefined || port > 65_535) return;
    ports.set(service, (ports.get(service) ?? new Set()).add(port));
  };
  for (const { name, environment, command = [] } of Object.values(definition.services)) {
    for (const text of [...Object.values(environment), ...command])
      for (const [, service = "", port = ""] of text.matchAll(REFERENCE)) add(service, Number(port));
    if (/^\d{2,5}$/.test(environment.PORT ?? "")) add(name, Number(environment.PORT));
  }
  return ports;
}

export type TranslatedDefinition = StackDefinition & { services: Record<string, TranslatedService> };

/**
 * @throws UNSUPPORTED with the name of every service that cannot run here, and the reason
 */
export async function translate(definition: StackDefinition, folder: string): Promise<TranslatedDefinition> {
  const problems: StackwardenError[] = [];
  const refused: string[] = [];
  const services: Record<string, TranslatedService> = Object.create(null);
  const named = namedPorts(definition);
  for (const [name, service] of Object.entries(definition.services)) {
    try {
      const translated = await translateService(service, folder);
      requireOptions(translated, definition);
      const { recipe } = translated;
      const ports = recipe === undefined ? [] : [...recipe.expose, ...(named.get(name) ?? [])];
      services[name] = { ...translated, expose: [...new Set([...service.expose, ...ports])] };
    } catch (error) {
      if (!(error instanceof StackwardenError) || error.code !== "UNSUPPORTED") throw error;
      problems.push(error);
      refused.push(name);
    }
  }
  const [first] = problems;
  if (first === undefined) return { ...definition, services };
  if (problems.length === 1) throw first;
  throw new StackwardenError("UNSUPPORTED", problems.map(({ message }) => message).join(" "), {
    hint: [...new Set(problems.map(({ hint }) => hint))].join(" "),
    details: { services: refused },
  });
}
