/**
 * Installs dependencies into a volume, in a container that has neither the service's secrets nor its networks. Nothing
 * but the volumes is left.
 */
import { randomBytes } from "node:crypto";
import { dirname } from "node:path/posix";
import type { Duplex, Readable } from "node:stream";
import type Docker from "dockerode";
import { pack } from "tar-stream";
import { StackwardenError } from "../../../errors.js";
import { retryMessage, withRetry } from "../../../system/retry.js";
import { isTransient } from "../../shared/install-faults.js";
import { installFailed } from "../../shared/installation.js";
import { type UserIds, userIds } from "../container/user-ids.js";
import type { Engine } from "../engine/engine.js";
import { engineMessage, isConnectionError, unreachable } from "../engine/errors.js";
import { sendArchive } from "../engine/send-archive.js";
import type { Image } from "../image/image.js";
import { LABEL, type StackIdentity, serverId, stackLabels } from "../leftovers/labels.js";
import { removeContainer } from "../leftovers/remove.js";
import { demultiplex } from "../service/exec.js";
import type { InstallPlan } from "./plan.js";
import { installerSettings } from "./settings.js";

/** Installers start many processes; a fork bomb in a package's script must end somewhere. */
const PIDS = 4096;
const DOWNLOADS = "/.stackwarden/downloads";
const LAST_LINES = 15;

export interface InstallOptions {
  engine: Engine;
  identity: StackIdentity;
  service: string;
  image: Image;
  /** User in the format of the Engine API. */
  user: string;
  plan: InstallPlan;
  /** Receives the dependencies; new and empty. */
  volume: string;
  /** Keeps downloads for the next installation. */
  downloads: string;
  env: NodeJS.ProcessEnv;
  retry: { maxRetries: number; baseDelayMs: number };
  signal: AbortSignal;
  /** Output of the installer, for the service's log. */
  output(line: string): void;
  retrying(message: string): void;
}

class InstallerEnded extends Error {
  constructor(
    readonly exitCode: number,
    readonly lines: readonly string[],
  ) {
    super(`ended with ${exitCode}`);
  }
}

const labelsOf = ({ identity, service }: InstallOptions): Record<string, string> => ({
  ...stackLabels(identity),
  [LABEL.service]: service,
  [LABEL.server]: serverId(),
});

/** Runs the task with a separate network, on which the installer reaches registries but no service of the stack. */
async function withNetwork<T>(options: InstallOptions, task: (network: string) => Promise<T>): Promise<T> {
  const { docker } = options.engine;
  const { projectId } = options.identity;
  const network = await docker.createNetwork({
    Name: `stackwarden_${projectId}_install_${randomBytes(4).toString("hex")}`,
    Driver: "bridge",
    Labels: labelsOf(options),
  });
  try {
    return await task(network.id);
  } finally {
    await network.remove().catch(() => undefined);
  }
}

async function create(options: InstallOptions, network: string, environment: Record<string, string>): Promise<string> {
  const { engine, image, user, plan, volume, downloads } = options;
  const [program = "", ...words] = plan.command;
  const created = await engine.docker.createContainer({
    Image: image.id,
    User: user,
    Entrypoint: [program],
    Cmd: words,
    WorkingDir: "/",
    Env: Object.entries(environment).map(([name, value]) => `${name}=${value}`),
    Labels: labelsOf(options),
    Healthcheck: { Test: ["NONE"] },
    HostConfig: {
      NetworkMode: network,
      Init: engine.info.init,
      CapDrop: ["ALL"],
      SecurityOpt: ["no-new-privileges"],
      PidsLimit: PIDS,
      Mounts: [
        { Source: volume, Target: plan.at },
        { Source: downloads, Target: DOWNLOADS },
      ].map((mount) => ({
        Type: "volume",
        ...mount,
        VolumeOptions: { NoCopy: true, Labels: {}, DriverConfig: { Name: "local", Options: {} } },
      })),
    },
  });
  return created.id;
}

/** Folders and files as an archive, with the folders above them; all belong to the user. */
function archiveOf(
  folders: readonly string[],
  files: readonly { path: string; content: string | Buffer; mode?: number }[],
  ids: UserIds,
): Readable {
  const archive = pack();
  const added = new Set<string>();
  const add = (path: string): void => {
    if (path === "/" || added.has(path)) return;
    add(dirname(path));
    archive.entry({ name: `${path.slice(1)}/`, type: "directory", mode: 0o755, ...ids });
    added.add(path);
  };
  for (const path of folders) add(path);
  for (const { path, content, mode = 0o644 } of files) {
    add(dirname(path));
    archive.entry({ name: path.slice(1), mode, ...ids }, content as Buffer);
  }
  archive.finalize();
  return archive;
}

/** @throws InstallerEnded, the engine's error, the signal's reason */
async function run(container: Docker.Container, options: InstallOptions): Promise<void> {
  const { signal, output } = options;
  const lines: string[] = [];
  let rest = "";
  const take = (text: string): void => {
    const parts = (rest + text).split(/\r?\n/);
    rest = (parts.pop() ?? "").slice(-64 * 1024);
    for (const line of parts) {
      output(line);
      if (line.trim() !== "") lines.push(line);
    }
    if (lines.length > LAST_LINES) lines.splice(0, lines.length - LAST_LINES);
  };
  const stream = (await container.attach({ stream: true, stdout: true, stderr: true })) as unknown as Duplex;
  stream.on("error", () => undefined);
  const reading = demultiplex(stream, (_kind, chunk) => take(chunk.toString("utf8"))).catch(() => undefined);
  const kill = (): void => void container.kill({ signal: "SIGKILL" }).catch(() => undefined);
  try {
    signal.throwIfAborted();
    await container.start();
    signal.addEventListener("abort", kill, { once: true });
    if (signal.aborted) kill();
    const { StatusCode } = (await container.wait()) as { StatusCode: number };
    await reading;
    if (rest !== "") take("\n");
    signal.throwIfAborted();
    if (StatusCode !== 0) throw new InstallerEnded(StatusCode, lines);
  } finally {
    signal.removeEventListener("abort", kill);
    stream.destroy();
  }
}

async function attempt(options: InstallOptions, network: string): Promise<void> {
  const { engine, env, image, user, plan, signal } = options;
  const { docker } = engine;
  const settings = await installerSettings(env);
  const id = await create(options, network, {
    HOME: "/tmp",
    PIP_CACHE_DIR: DOWNLOADS,
    npm_config_cache: DOWNLOADS,
    ...settings.environment,
    ...plan.environment,
  });
  try {
    const ids = await userIds(docker, id, image.id, user);
    if (ids === null) throw installFailed(`The image of ${options.service} has no user ${user}.`);
    const container = docker.getContainer(id);
    const files = [...plan.files, ...settings.files.map(([path, content]) => ({ path, content }))];
    // The folders of the volumes are in the archive, because the engine gives a new volume to root.
    await container.putArchive(archiveOf([plan.at, DOWNLOADS], files, ids), { path: "/" });
    if (plan.sources !== undefined) {
      const sources = plan.sources(ids);
      await sendArchive(sources, signal, (abortSignal) => container.putArchive(sources, { path: "/", abortSignal }));
    }
    signal.throwIfAborted();
    await run(container, options);
  } finally {
    await removeContainer(docker, id).catch(() => undefined);
  }
}

/** @throws DEPENDENCY_INSTALL_FAILED with the last lines, RUNTIME_UNAVAILABLE, the signal's reason */
export async function install(options: InstallOptions): Promise<void> {
  const { engine, plan, service, retry, signal, retrying } = options;
  try {
    await withNetwork(options, (network) =>
      withRetry(() => attempt(options, network), {
        ...retry,
        signal,
        classify: (error) => error instanceof InstallerEnded && isTransient(error.lines.join("\n")),
        onRetry: (again) => retrying(retryMessage(`${plan.what} for ${service} failed because of the network`, again)),
      }),
    );
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof StackwardenError) throw error;
    if (isConnectionError(error)) throw unreachable(engine.address.host, error);
    if (error instanceof InstallerEnded)
      throw installFailed(`${plan.what} for "${service}" ended with ${error.exitCode}.`, [...error.lines], error);
    throw installFailed(`${plan.what} for "${service}" failed: ${engineMessage(error)}`, [], error);
  }
}
