/**
 * How an app service runs without a container: what its Dockerfile, its image's name and its compose file say, in paths
 * of this machine.
 */
import { basename, dirname, isAbsolute, join, posix, relative } from "node:path";
import { languageOfImage, parseImageName } from "../../../stack/definition/image-name.js";
import type { ServiceDefinition } from "../../../stack/definition/types.js";
import { isBeneath } from "../../../system/is-beneath.js";
import { statBeneath, UnsafePathError } from "../../../system/read-regular-file.js";
import { shellWords } from "../providers/shell-words.js";
import { type Installation, isBuildCommand, meaningOf } from "./classify.js";
import type { Command, CopyStep, ImageRecipe, RunStep } from "./dockerfile.js";
import { joinCommands, type ShellCommand, shellCommands } from "./shell-commands.js";

/** A path in the container and the same place on this machine. */
export interface PathMapping {
  container: string;
  host: string;
}

export interface Toolchain {
  language: "node" | "python" | "go" | "bun";
  /** As the image's tag names it, e.g. `22` or `3.13`; null for every version. */
  version: string | null;
  image: string;
}

export interface InstallStep {
  installation: Installation;
  /** Absolute path on this machine. */
  folder: string;
  /** Line of the Dockerfile; null for a command of the compose file. */
  line: number | null;
}

export interface BuildCommand {
  text: string;
  folder: string;
  env: Record<string, string>;
  line: number;
}

export interface AppRecipe {
  /** Command in the container's terms. */
  argv: string[];
  /** Absolute, on this machine. */
  workingDir: string;
  /** Longest container path first. */
  paths: PathMapping[];
  environment: Record<string, string>;
  toolchains: Toolchain[];
  installs: InstallStep[];
  builds: BuildCommand[];
  expose: number[];
  /** Programs that the machine must have, as package managers are. */
  tools: string[];
  notes: string[];
}

/** Folder for what a build writes outside of the project; a prefix in `PathMapping.host` until the folder is known. */
export const OUTPUT = "/{output}";

const LANGUAGES: Readonly<Record<string, Toolchain["language"]>> = {
  node: "node",
  python: "python",
  golang: "go",
  "oven/bun": "bun",
};

/** The language and version of an official image. */
function toolchainOf(image: string): Toolchain | null {
  const { path, tag, onDockerHub } = parseImageName(image);
  const language = onDockerHub ? LANGUAGES[path] : undefined;
  if (language === undefined) return null;
  return { language, version: /^v?(\d+(?:\.\d+)*)/.exec(tag ?? "")?.[1] ?? null, image };
}

/** Whether the local runtime can run services of this image from its name alone. */
export const isLanguageImage = (image: string): boolean =>
  toolchainOf(image) !== null || languageOfImage(image) !== null;

const trimmed = (path: string): string => (path === "/" ? path : path.replace(/\/+$/, ""));

/** Translates between paths of the container and of this machine. */
class Paths {
  readonly #exact = new Map<string, string>();
  readonly #inferred = new Map<string, string>();

  add(container: string, host: string): void {
    this.#exact.set(trimmed(posix.normalize(container)), trimmed(host));
  }

  /** A folder that was not copied as a whole, known by what was copied into it. */
  infer(container: string, host: string): void {
    const path = trimmed(posix.normalize(container));
    if (!this.#inferred.has(path)) this.#inferred.set(path, trimmed(host));
  }

  /** @returns undefined when the path is not a part of the project */
  host(container: string): string | undefined {
    const path = trimmed(posix.normalize(container));
    let best: PathMapping | undefined;
    for (const one of this.list())
      if (isBeneath(one.container, path) && one.container.length > (best?.container.length ?? 0)) best = one;
    return best === undefined ? undefined : join(best.host, relative(best.container, path));
  }

  list(): PathMapping[] {
    const all = new Map([...this.#inferred, ...this.#exact]);
    return [...all]
      .filter(([container]) => container !== "/")
      .map(([container, host]) => ({ container, host }))
      .sort((a, b) => b.container.length - a.container.length);
  }
}

const isFolder = (path: string, folder: string): boolean => {
  try {
    return statBeneath(path, folder)?.kind === "folder";
  } catch (error) {
    if (error instanceof UnsafePathError) return false;
    throw error;
  }
};

function copyFromContext(step: CopyStep, context: string, project: string, paths: Paths): void {
  for (const written of step.sources) {
    if (/[*?[]/.test(written)) {
      // `package*.json ./`: the folders correspond.
      const folder = posix.dirname(written);
      if (!/[*?[]/.test(folder)) paths.infer(step.target, join(context, folder));
      continue;
    }
    const source = join(context, posix.join("/", written));
    const target = trimmed(step.target);
    if (isFolder(source, project)) {
      paths.add(target, source);
      if (basename(target) === basename(source) && source !== context)
        paths.infer(posix.dirname(target), dirname(source));
    } else {
      const name = step.target.endsWith("/") || step.sources.length > 1 ? posix.join(target, basename(source)) : target;
      paths.add(name, source);
      if (basename(name) === basename(source)) paths.infer(posix.dirname(name), dirname(source));
    }
  }
}

function copyFromStage(step: CopyStep, paths: Paths, tools: Set<string>, isStage: boolean): void {
  for (const source of step.sources) {
    const target = step.target.endsWith("/") ? posix.join(step.target, basename(source)) : step.target;
    if (!isStage) {
      if (/^(uv|uvx|bun|pnpm|tini)$/.test(basename(source))) tools.add(basename(source));
      continue;
    }
    const host = paths.host(source);
    if (host !== undefined && paths.host(target) !== host) paths.add(target, host);
  }
}

/** `-o /bin/app` of a compiler: the path becomes one in the folder for outputs. */
function outputsOf(text: string, paths: Paths): void {
  const words = shellWords(text, {}) ?? text.split(/\s+/);
  words.forEach((word, at) => {
    const target = /^(?:-o|--out(?:put|file)?)$/.test(word)
      ? words[at + 1]
      : /^(?:-o|--out(?:put|file)?)=(.+)$/.exec(word)?.[1];
    if (target?.startsWith("/") && paths.host(target) === undefined) paths.add(target, `${OUTPUT}${target}`);
  });
}

/** Requirements files by their paths on this machine. */
function placed(installation: Installation, paths: Paths): Installation {
  if (installation.language === "node") return installation;
  const requirements = installation.requirements.map((one) => (one.startsWith("/") ? (paths.host(one) ?? one) : one));
  return { ...installation, requirements };
}

interface Reading {
  paths: Paths;
  project: string;
  recipe: AppRecipe;
  tools: Set<string>;
  /** Container folders that a bind of the compose file covers. */
  bound: readonly string[];
}

/** `prisma generate` writes into node_modules, which a bind of the sources does not replace here. */
const INTO_DEPENDENCIES = /\bprisma\s+generate\b/;

function runStep(step: RunStep, reading: Reading): void {
  const { recipe, paths } = reading;
  const commands: ShellCommand[] =
    step.command.form === "shell"
      ? shellCommands(step.command.text)
      : [{ text: step.command.words.map((word) => JSON.stringify(word)).join(" "), operator: "" }];
  let cwd = step.cwd;
  for (const { text } of commands) {
    const meaning = meaningOf(text, step.env);
    const folder = paths.host(cwd);
    if (meaning.kind === "directory") cwd = posix.resolve(cwd, meaning.to);
    else if (meaning.kind === "tools") for (const name of meaning.names) reading.tools.add(name);
    else if (meaning.kind === "packages")
      recipe.notes.push(
        `Dockerfile line ${step.line}: packages of the distribution are not installed (${meaning.packages.join(", ")}). Install them on this machine when the service needs them.`,
      );
    else if (meaning.kind === "install") {
      const needsFiles = meaning.installation.language === "node" || meaning.installation.packages.length === 0;
      if (folder === undefined && !needsFiles)
        recipe.installs.push({ installation: meaning.installation, folder: reading.project, line: step.line });
      else if (folder === undefined)
        recipe.notes.push(`Dockerfile line ${step.line}: \`${text}\` is not run: ${cwd} holds nothing of the project.`);
      else recipe.installs.push({ installation: placed(meaning.installation, paths), folder, line: step.line });
    } else if (meaning.kind === "command") {
      const covered = reading.bound.some((one) => isBeneath(one, cwd)) && !INTO_DEPENDENCIES.test(text);
      if (covered) continue;
      outputsOf(text, paths);
      if (folder !== undefined && !folder.startsWith(OUTPUT) && isBuildCommand(text))
        recipe.builds.push({ text, folder, env: step.env, line: step.line });
      else
        recipe.notes.push(
          `Dockerfile line ${step.line}: \`${text.length > 80 ? `${text.slice(0, 77)}...` : text}\` is not run without a container.`,
        );
    }
  }
}

const INIT = /^(?:\/(?:usr\/)?s?bin\/)?(?:tini|dumb-init|docker-entrypoint\.sh)$/;

/** Removes wrappers that only a container needs. */
function withoutInit(argv: string[]): string[] {
  let rest = argv;
  while (INIT.test(rest[0] ?? "")) {
    rest = rest.slice(1);
    while (rest[0]?.startsWith("-")) rest = rest.slice(1);
  }
  return rest;
}

/** `uv run`, `poetry run` and `pipenv run`: the environment's programs come first in PATH here. */
function withoutRunner(argv: string[]): string[] {
  const [runner, verb, ...rest] = argv;
  if (verb !== "run" || !/^(uv|poetry|pipenv)$/.test(runner ?? "")) return argv;
  let words = rest;
  while (words[0]?.startsWith("--") && words[0] !== "--module")
    words = words.slice(/^--(group|extra|with|python)$/.test(words[0]) ? 2 : 1);
  // uv runs files and modules of Python without naming it.
  if (runner === "uv" && /^(?:-m|--module|.*\.py)$/.test(words[0] ?? "")) return ["python", ...words];
  return words.length === 0 ? argv : words;
}

const wordsOf = (command: Command | undefined): string[] => {
  if (command === undefined) return [];
  return command.form === "exec" ? command.words : ["/bin/sh", "-c", command.text];
};

const SHELL = /^(?:\/(?:usr\/)?bin\/)?(?:ba|da|a)?sh$/;

/** Takes installations out of `sh -c "npm install && npm start"`. */
function startCommand(argv: string[], cwd: string, reading: Reading): string[] {
  const [shell = "", option = "", script] = argv;
  if (!SHELL.test(shell) || !/^-\w*c$/.test(option) || script === undefined) return withoutRunner(argv);
  const commands = shellCommands(script);
  const kept: ShellCommand[] = [];
  let at = cwd;
  for (const command of commands) {
    const meaning = meaningOf(command.text, reading.recipe.environment);
    if (meaning.kind === "directory") at = posix.resolve(at, meaning.to);
    const folder = reading.paths.host(at);
    if (meaning.kind === "install" && folder !== undefined)
      reading.recipe.installs.push({ installation: placed(meaning.installation, reading.paths), folder, line: null });
    else if (meaning.kind === "tools") for (const name of meaning.names) reading.tools.add(name);
    else if (meaning.kind !== "packages") kept.push({ ...command, text: bare(command.text) });
  }
  const [only] = kept;
  // A single simple command needs no shell, and its addresses can be rewritten word by word.
  const words =
    kept.length === 1 && only !== undefined && !/^\s*[A-Za-z_]\w*=|\$/.test(only.text)
      ? shellWords(only.text, {})
      : null;
  if (words !== null && words.length > 0) {
    if (words[0] === "exec") words.shift();
    return withoutRunner(words);
  }
  return [shell, option, joinCommands(kept), ...argv.slice(3)];
}

const bare = (text: string): string =>
  text
    .replace(/^((?:exec\s+)?)uv\s+run\s+(?=-m\s|[^\s-]\S*\.py(?:\s|$))/, "$1python ")
    .replace(/^((?:exec\s+)?)(?:uv|poetry|pipenv)\s+run\s+(?!--)/, "$1");

/**
 * @param image the Dockerfile's content; null for a service with an image
 * @param context folder of the build; null for a service with an image
 * @param project the project's folder
 */
export function appRecipe(
  service: ServiceDefinition,
  image: ImageRecipe | null,
  context: string | null,
  project: string,
): AppRecipe {
  const base = image?.base ?? service.image ?? "";
  const recipe: AppRecipe = {
    argv: [],
    workingDir: project,
    paths: [],
    environment: { ...image?.env },
    toolchains: [],
    installs: [],
    builds: [],
    expose: image?.expose ?? [],
    tools: [],
    notes: (image?.problems ?? []).map(({ line, message }) => `Dockerfile line ${line}: ${message}`),
  };
  delete recipe.environment.PATH;
  const paths = new Paths();
  const tools = new Set<string>();
  const binds = service.mounts.flatMap((mount) =>
    mount.type === "bind" && isBeneath(project, mount.source) ? [mount] : [],
  );
  const bound = binds.filter(({ source }) => isFolder(source, project)).map(({ target }) => target);
  const reading: Reading = { paths, project, recipe, tools, bound };
  const steps = image?.steps ?? [];
  // An instruction may run in a folder into which the project is copied later.
  for (const step of steps)
    if (step.kind === "copy" && step.from === undefined) copyFromContext(step, context ?? project, project, paths);
  for (const { source, target } of binds) paths.add(target, source);
  for (const step of steps) {
    if (step.kind === "run") runStep(step, reading);
    else if (step.from !== undefined) copyFromStage(step, paths, tools, !/[/:]/.test(step.from));
  }
  const workdir = service.workingDir ?? image?.workdir ?? "/";
  recipe.workingDir =
    service.local?.workingDir ??
    paths.host(workdir) ??
    bindOnly(
      binds.map(({ source }) => source),
      project,
    ) ??
    context ??
    project;
  if (recipe.workingDir.startsWith(OUTPUT)) recipe.workingDir = context ?? project;
  if (paths.host(workdir) === undefined && workdir !== "/") paths.add(workdir, recipe.workingDir);
  const entrypoint = service.entrypoint ?? wordsOf(image?.entrypoint);
  const command = service.command ?? (service.entrypoint === undefined ? wordsOf(image?.cmd) : []);
  recipe.argv = startCommand(withoutInit([...entrypoint, ...command]), workdir, reading);
  const images = new Set([base, ...(image?.steps ?? []).flatMap((step) => (step.kind === "run" ? [step.base] : []))]);
  for (const one of images) {
    const toolchain = toolchainOf(one);
    if (toolchain !== null && !recipe.toolchains.some(({ language }) => language === toolchain.language))
      recipe.toolchains.push(toolchain);
  }
  recipe.paths = paths.list().filter(({ host }) => isAbsolute(host));
  recipe.tools = [...tools];
  return recipe;
}

/** The only folder that is bound, for images whose working directory is not known. */
const bindOnly = (sources: readonly string[], project: string): string | undefined => {
  const folders = sources.filter((source) => isFolder(source, project));
  return folders.length === 1 ? folders[0] : undefined;
};
