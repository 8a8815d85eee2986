/**
 * Builds a service's image: by `docker buildx build` when the CLI and its plugin exist, else by the engine. An engine whose
 * default is the classic builder builds by BuildKit what that builder cannot.
 */
import { execFile, spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { StackwardenError } from "../../../errors.js";
import type { BuildDefinition } from "../../../stack/definition/types.js";
import { findProgram, withTrustedPath } from "../../../system/find-program.js";
import { readRegularText, UnsafePathError } from "../../../system/read-regular-file.js";
import { retryMessage, withRetry } from "../../../system/retry.js";
import { isBusy, NO_IMAGE } from "../../shared/registry-faults.js";
import { credentialsAt, credentialsFor } from "../engine/credentials.js";
import type { Engine } from "../engine/engine.js";
import { engineMessage, isConnectionError, isNotFound, statusOf, unreachable } from "../engine/errors.js";
import { jsonLines } from "../engine/json-lines.js";
import { sendArchive } from "../engine/send-archive.js";
import { needsBuildKit } from "./buildkit/needs.js";
import { BuildKitProgress } from "./buildkit/progress.js";
import { type BuildSession, openSession } from "./buildkit/session.js";
import { buildContext, type ContextOptions } from "./context.js";

export interface BuildOptions {
  engine: Engine;
  build: BuildDefinition;
  /** Values of `build.secrets`, by the name that the Dockerfile uses. */
  secrets: Record<string, string | Buffer>;
  /** `platform` of the service. Default: the engine's own. */
  platform?: string;
  /** Name of the image to create. */
  tag: string;
  labels: Record<string, string>;
  service: string;
  folder: string;
  exclude: readonly string[];
  env: NodeJS.ProcessEnv;
  retry: { maxRetries: number; baseDelayMs: number };
  signal: AbortSignal;
  phase(message: string): void;
  /** Output of the build, for the service's log. */
  output(line: string): void;
  retrying(message: string): void;
}

/** Output that is kept of a failing build. */
const LAST_LINES = 15;
const SHOWN = 120;

/** The current build step, from a line of either builder; null for other lines. */
export const stepOf = (line: string): string | null =>
  /^(?:#\d+ )?(?:\[[^\]]*\d+\/\d+\] (?!DONE|CACHED).*|Step \d+\/\d+ : .*)/.exec(line)?.[0]?.slice(0, SHOWN) ?? null;

class BuildFailure extends Error {
  constructor(
    message: string,
    readonly lines: readonly string[],
  ) {
    super(message);
  }
}

/** The Docker CLI when its `buildx` plugin works, else null. Checked once for each environment. */
const plugins = new Map<string, Promise<string | null>>();

function findBuildx(env: NodeJS.ProcessEnv): Promise<string | null> {
  const key = `${env.PATH}\0${env.HOME}\0${env.DOCKER_CONFIG}`;
  const cachedCheck = plugins.get(key);
  if (cachedCheck !== undefined) return cachedCheck;
  const asking = (async () => {
    const docker = await findProgram("docker", { env });
    if (docker === null) return null;
    const trusted = await withTrustedPath(env);
    return new Promise<string | null>((resolve) => {
      execFile(docker, ["buildx", "version"], { env: trusted, timeout: 5000 }, (error) =>
        resolve(error === null ? docker : null),
      );
    });
  })();
  plugins.set(key, asking);
  return asking;
}

/** Environment with which the CLI reaches the same engine. */
async function cliEnvironment({ engine, env }: BuildOptions): Promise<NodeJS.ProcessEnv> {
  const { address } = engine;
  const context = /^context (.*)$/.exec(address.source)?.[1];
  const { DOCKER_HOST: _host, DOCKER_CONTEXT: _context, ...rest } = await withTrustedPath(env);
  return context === undefined ? { ...rest, DOCKER_HOST: address.host } : { ...rest, DOCKER_CONTEXT: context };
}

const extraHosts = ({ extraHosts: hosts = {} }: BuildDefinition): string[] =>
  Object.entries(hosts).flatMap(([name, addresses]) => addresses.map((address) => `${name}:${address}`));

const buildArguments = (
  { build, tag, labels, platform }: BuildOptions,
  dockerfile: string,
  idFile: string,
  secretFiles: Record<string, string>,
): string[] => [
  "buildx",
  "build",
  "--load",
  "--progress=plain",
  `--tag=${tag}`,
  `--file=${dockerfile}`,
  `--iidfile=${idFile}`,
  ...(build.target === undefined ? [] : [`--target=${build.target}`]),
  ...Object.entries(build.args).map(([name, value]) => `--build-arg=${name}=${value}`),
  ...(platform === undefined ? [] : [`--platform=${platform}`]),
  ...extraHosts(build).map((host) => `--add-host=${host}`),
  ...(build.shmSizeBytes === undefined ? [] : [`--shm-size=${build.shmSizeBytes}`]),
  ...(build.noCache === true ? ["--no-cache"] : []),
  ...(build.pull === true ? ["--pull"] : []),
  ...Object.entries({ ...build.labels, ...labels }).map(([name, value]) => `--label=${name}=${value}`),
  ...Object.entries(secretFiles).map(([id, path]) => `--secret=id=${id},src=${path}`),
  "-",
];

async function byBuildx(
  docker: string,
  options: BuildOptions,
  context: ContextOptions,
  line: (text: string) => void,
): Promise<string> {
  const { signal } = options;
  const folder = await mkdtemp(join(tmpdir(), "stackwarden-build-"));
  try {
    const idFile = join(folder, "id");
    const secretFiles = await writeSecrets(folder, options.secrets);
    const { archive, dockerfile } = await buildContext(context);
    const child = spawn(docker, buildArguments(options, dockerfile, idFile, secretFiles), {
      env: await cliEnvironment(options),
      stdio: ["pipe", "pipe", "pipe"],
    });
    const abort = (): void => void child.kill("SIGTERM");
    signal.addEventListener("abort", abort, { once: true });
    if (signal.aborted) abort();
    const ended = new Promise<number | null>((resolve, reject) => {
      child.once("error", reject);
      child.once("close", resolve);
    });
    for (const stream of [child.stdout, child.stderr]) splitLines(stream, line);
    // The CLI may exit before it has read all of its input; its exit code gives the reason.
    const sending = pipeline(archive, child.stdin).catch((error: NodeJS.ErrnoException) => error);
    const code = await ended.finally(() => signal.removeEventListener("abort", abort));
    const fault = await sending;
    signal.throwIfAborted();
    if (fault instanceof StackwardenError) throw fault;
    if (code !== 0) throw new BuildFailure(`docker buildx build ended with code ${code}`, []);
    return (await readFile(idFile, "utf8")).trim();
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Writes the secrets to the private folder of one build. @returns their paths by the name that the Dockerfile uses */
async function writeSecrets(folder: string, secrets: BuildOptions["secrets"]): Promise<Record<string, string>> {
  const written = Object.entries(secrets).map(async ([id, value], at) => {
    const path = join(folder, `secret-${at}`);
    await writeFile(path, value, { mode: 0o600, flag: "wx" });
    return [id, path] as const;
  });
  return Object.fromEntries(await Promise.all(written));
}

function splitLines(stream: Readable, line: (text: string) => void): void {
  let rest = "";
  stream.setEncoding("utf8");
  stream.on("data", (chunk: string) => {
    const parts = (rest + chunk).split(/\r?\n/);
    rest = parts.pop() ?? "";
    for (const part of parts) line(part);
  });
  stream.once("end", () => {
    if (rest !== "") line(rest);
  });
}

interface BuildEvent {
  id?: string;
  stream?: string;
  error?: string;
  aux?: { ID?: string } | string;
}

/** Id of events with BuildKit's progress. */
const TRACE = "moby.buildkit.trace";

const MOST_LINES = 10_000;
const MOST_IMAGES = 50;

/** Empty for a file that cannot be read: the build itself reports it. */
function dockerfileText(path: string, folder: string): string {
  try {
    return readRegularText(path, { within: folder }) ?? "";
  } catch (error) {
    if (error instanceof UnsafePathError) return "";
    throw error;
  }
}

const dockerfileOf = ({ build, folder }: Pick<BuildOptions, "build" | "folder">): string =>
  build.dockerfileInline ?? dockerfileText(join(build.context, build.dockerfile ?? "Dockerfile"), folder);

/** Registries of the Dockerfile's base images. The engine needs their credentials together with the build. */
async function registryConfig({
  build,
  folder,
  env,
}: BuildOptions): Promise<Record<string, { username: string; password: string }>> {
  const text = dockerfileOf({ build, folder });
  // One line at a time: across blank lines the pattern takes quadratic time.
  const images = text
    .split("\n", MOST_LINES)
    .flatMap((line) => /^[ \t]*FROM[ \t]+(?:--\S+[ \t]+)*(\S+)/i.exec(line)?.[1] ?? []);
  const credentials = await Promise.all(
    [...new Set(images)].slice(0, MOST_IMAGES).map((image) => credentialsFor(image, env)),
  );
  return Object.fromEntries(
    credentials.flatMap((auth) =>
      auth === null ? [] : [[auth.serveraddress, { username: auth.username ?? "", password: auth.password ?? "" }]],
    ),
  );
}

/**
 * @returns null for the classic builder
 * @throws UNSUPPORTED when the build needs BuildKit and the engine does not have it
 */
async function sessionFor(options: BuildOptions): Promise<BuildSession | null> {
  const { engine, secrets, env, service, signal } = options;
  const { buildKit, podman, name } = engine.info;
  const withSecrets = Object.keys(secrets).length > 0;
  // Podman's builder knows the same flags, without a session.
  const needed = withSecrets || (!podman && needsBuildKit(dockerfileOf(options)));
  if (!needed && buildKit !== "default") return null;
  const missing = (cause?: unknown): StackwardenError =>
    new StackwardenError(
      "UNSUPPORTED",
      `${service}: its build needs BuildKit${withSecrets ? " (build.secrets)" : ""}, which ${name} at ${engine.address.host} does not have.`,
      {
        hint: `Install the Docker CLI with its buildx plugin, or ${withSecrets ? "remove build.secrets" : "write the Dockerfile without --mount, --chmod, --link and here-documents"}.`,
        details: { service },
        cause,
      },
    );
  if (buildKit === "none") throw missing();
  try {
    const credentials = (host: string) => credentialsAt(host, env);
    return await openSession({ docker: engine.docker, secrets, credentials, signal });
  } catch (error) {
    if (statusOf(error) === null) throw error;
    if (needed) throw missing(error);
    return null;
  }
}

async function byEngine(options: BuildOptions, context: ContextOptions, line: (text: string) => void): Promise<string> {
  const session = await sessionFor(options);
  try {
    const { archive, dockerfile } = await buildContext(context);
    return await sendArchive(archive, options.signal, (signal) =>
      sendContext({ ...options, signal }, { archive, dockerfile, session }, line),
    );
  } finally {
    session?.close();
  }
}

async function sendContext(
  options: BuildOptions,
  { archive, dockerfile, session }: { archive: Readable; dockerfile: string; session: BuildSession | null },
  line: (text: string) => void,
): Promise<string> {
  const { engine, build, tag, labels, signal, platform } = options;
  const stream = (await engine.docker.buildImage(
    archive as never,
    {
      t: tag,
      dockerfile,
      forcerm: true,
      buildargs: build.args,
      labels: { ...build.labels, ...labels },
      ...(build.extraHosts === undefined ? {} : { extrahosts: extraHosts(build) }),
      ...(build.shmSizeBytes === undefined ? {} : { shmsize: build.shmSizeBytes }),
      ...(build.noCache === true ? { nocache: true } : {}),
      ...(build.pull === true ? { pull: "true" } : {}),
      ...(platform === undefined ? {} : { platform }),
      // For the text "2" the client library would open another session.
      ...(session === null ? { registryconfig: await registryConfig(options) } : { version: 2, session: session.id }),
      ...(build.target === undefined ? {} : { target: build.target }),
      abortSignal: signal,
    } as never,
  )) as unknown as Readable;
  const progress = new BuildKitProgress(line);
  let id: string | undefined;
  for await (const { id: kind, error, aux, stream: text = "" } of jsonLines<BuildEvent>(stream)) {
    if (error !== undefined) throw new BuildFailure(error, []);
    if (kind === TRACE && typeof aux === "string") progress.take(aux);
    else if (typeof aux === "object" && aux.ID !== undefined) id = aux.ID;
    for (const part of text.split("\n")) if (part.trim() !== "") line(part);
  }
  return id ?? tag;
}

const failed = (options: BuildOptions, error: unknown, lines: readonly string[]): StackwardenError => {
  const { service } = options;
  const message = engineMessage(error);
  if (isBusy(`${message}\n${lines.join("\n")}`))
    return new StackwardenError("RUNTIME_UNAVAILABLE", `${service}: building its image failed: ${message}`, {
      hint: "The registry or the network did not answer. Call again later.",
      cause: error,
    });
  return new StackwardenError("SERVICE_START_FAILED", `${service}: building its image failed: ${message}`, {
    hint: NO_IMAGE.test(message)
      ? "Correct the name of the base image in the Dockerfile; for a private registry run `docker login` first."
      : "Read details.last_lines, and correct the Dockerfile or what it names.",
    details: { service, last_lines: lines.slice(-LAST_LINES) },
    cause: error,
  });
};

/**
 * @returns the image's id
 * @throws SERVICE_START_FAILED with the last lines, INVALID_STACK, RUNTIME_UNAVAILABLE, the signal's reason
 */
export async function buildImage(options: BuildOptions): Promise<string> {
  const { engine, build, folder, exclude, env, retry, signal, phase, output, retrying, service } = options;
  const lines: string[] = [];
  const line = (text: string): void => {
    output(text);
    lines.push(text);
    if (lines.length > 4 * LAST_LINES) lines.splice(0, lines.length - 2 * LAST_LINES);
    const step = stepOf(text);
    if (step !== null) phase(`building: ${step}`);
  };
  phase(`building from ${relative(folder, build.context) || "the project's folder"}`);
  const context = {
    context: build.context,
    dockerfile: build.dockerfile ?? "Dockerfile",
    ...(build.dockerfileInline === undefined ? {} : { inline: build.dockerfileInline }),
    folder,
    exclude,
  };
  // The CLI reaches the engine of a virtual or remote machine the same way; Podman has no buildx.
  const buildx = engine.info.podman ? null : await findBuildx(env);
  const before = await idOf(engine, options.tag);
  try {
    const id = await withRetry(
      () => (buildx === null ? byEngine(options, context, line) : byBuildx(buildx, options, context, line)),
      {
        ...retry,
        signal,
        classify: (error) => error instanceof BuildFailure && isBusy(`${error.message}\n${lines.join("\n")}`),
        onRetry: (again) => retrying(retryMessage(`Building ${service} failed`, again)),
      },
    );
    if (before !== null && before !== id) await removeUnused(engine, before);
    return id;
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof StackwardenError) throw error;
    if (isConnectionError(error)) throw unreachable(engine.address.host, error);
    throw failed(options, error, lines);
  }
}

const idOf = ({ docker }: Engine, tag: string): Promise<string | null> =>
  docker
    .getImage(tag)
    .inspect()
    .then(
      ({ Id }) => Id,
      (error: unknown) => {
        if (isNotFound(error)) return null;
        throw error;
      },
    );

/** Removes the image that the build replaced, unless a container or another name still uses it. */
const removeUnused = ({ docker }: Engine, id: string): Promise<unknown> =>
  docker
    .getImage(id)
    .remove()
    .catch(() => undefined);
