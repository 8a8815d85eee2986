/**
 * Finds the engine's address: the operator's setting, `DOCKER_HOST`, the current context of the Docker CLI, or the
 * first of the usual sockets that exists.
 */
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { StackwardenError } from "../../../errors.js";
import type { DockerSettings } from "../settings.js";

export interface EngineAddress {
  /**
   * Address in the format of the Docker CLI: `unix:///path`, `npipe:////./pipe/name`, `tcp://host:port` or
   * `ssh://user@host`.
   */
  host: string;
  /** Source of the address, for reports. */
  source: string;
  /** Present for TLS. */
  tls?: { ca?: Buffer; cert?: Buffer; key?: Buffer; skipVerify: boolean };
}

export interface AddressRequest {
  settings: Pick<DockerSettings, "host" | "context">;
  env: NodeJS.ProcessEnv;
  platform?: NodeJS.Platform;
  home?: string;
}

interface ContextMeta {
  Name?: string;
  Endpoints?: { docker?: { Host?: string; SkipTLSVerify?: boolean } };
}

const HOST = /^(unix|npipe|tcp|ssh|http|https):\/\/./;

const invalid = (message: string, hint: string): StackwardenError =>
  new StackwardenError("RUNTIME_UNAVAILABLE", message, { hint });

/** Folder of the Docker CLI's configuration. */
export const configFolder = (env: NodeJS.ProcessEnv, home = homedir()): string =>
  env.DOCKER_CONFIG || join(home, ".docker");

/**
 * @returns null when the file does not exist
 * @throws RUNTIME_UNAVAILABLE when it is not JSON
 */
function readJson<T>(path: string): T | null {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch {
    return null;
  }
  try {
    return JSON.parse(text) as T;
  } catch (cause) {
    throw new StackwardenError("RUNTIME_UNAVAILABLE", `${path} is not valid JSON.`, {
      hint: "Correct the file, or name the engine by DOCKER_HOST.",
      cause,
    });
  }
}

const optional = (path: string): Buffer | undefined => {
  try {
    return readFileSync(path);
  } catch {
    return undefined;
  }
};

function tlsFiles(folder: string, skipVerify: boolean): EngineAddress["tls"] {
  const [ca, cert, key] = ["ca.pem", "cert.pem", "key.pem"].map((name) => optional(join(folder, name)));
  if (ca === undefined && cert === undefined && !skipVerify) return undefined;
  return {
    skipVerify,
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
  };
}

function checked(host: string, source: string): string {
  const full = HOST.test(host) ? host : `tcp://${host}`;
  if (HOST.test(host) || /^[A-Za-z0-9.-]+:\d+$/.test(host)) return full;
  throw invalid(
    `${source} has the value "${host}", which is not an engine's address.`,
    "Expected unix:///path, tcp://host:port or ssh://user@host.",
  );
}

/** @throws RUNTIME_UNAVAILABLE for a context that does not exist */
function ofContext(name: string, source: string, folder: string): EngineAddress {
  const id = createHash("sha256").update(name).digest("hex");
  const meta = readJson<ContextMeta>(join(folder, "contexts", "meta", id, "meta.json"));
  const endpoint = meta?.Endpoints?.docker;
  if (typeof endpoint?.Host !== "string" || endpoint.Host === "")
    throw invalid(
      `${source} names the Docker context "${name}", which does not exist.`,
      "`docker context ls` lists the contexts; choose one with `docker context use`, or set DOCKER_HOST.",
    );
  const tls = tlsFiles(join(folder, "contexts", "tls", id, "docker"), endpoint.SkipTLSVerify === true);
  return { host: checked(endpoint.Host, source), source: `context ${name}`, ...(tls === undefined ? {} : { tls }) };
}

/** Sockets of Docker Engine, Docker Desktop, rootless Docker, Colima, OrbStack, Rancher Desktop and Podman. */
export function usualSockets(env: NodeJS.ProcessEnv, home = homedir()): string[] {
  const runtime = env.XDG_RUNTIME_DIR;
  return [
    "/var/run/docker.sock",
    join(home, ".docker/run/docker.sock"),
    ...(runtime ? [join(runtime, "docker.sock")] : []),
    join(home, ".orbstack/run/docker.sock"),
    join(home, ".colima/default/docker.sock"),
    join(home, ".rd/docker.sock"),
    ...(runtime ? [join(runtime, "podman/podman.sock")] : []),
    join(home, ".local/share/containers/podman/machine/podman.sock"),
    "/run/podman/podman.sock",
  ];
}

/** @throws RUNTIME_UNAVAILABLE when a setting refers to something that does not exist */
export function findAddress({
  settings,
  env,
  platform = process.platform,
  home = homedir(),
}: AddressRequest): EngineAddress {
  const folder = configFolder(env, home);
  if (settings.host) return { host: checked(settings.host, "docker_host"), source: "docker_host" };
  if (settings.context && settings.context !== "default") return ofContext(settings.context, "docker_context", folder);
  if (env.DOCKER_HOST) {
    const host = checked(env.DOCKER_HOST, "DOCKER_HOST");
    const usesTls = host.startsWith("tcp://") && (Boolean(env.DOCKER_TLS_VERIFY) || Boolean(env.DOCKER_CERT_PATH));
    const tls = usesTls ? tlsFiles(env.DOCKER_CERT_PATH || folder, !env.DOCKER_TLS_VERIFY) : undefined;
    return { host, source: "DOCKER_HOST", ...(tls === undefined ? {} : { tls }) };
  }
  if (env.DOCKER_CONTEXT && env.DOCKER_CONTEXT !== "default")
    return ofContext(env.DOCKER_CONTEXT, "DOCKER_CONTEXT", folder);
  const current = readJson<{ currentContext?: string }>(join(folder, "config.json"))?.currentContext;
  if (current && current !== "default") return ofContext(current, join(folder, "config.json"), folder);
  if (platform === "win32") return { host: "npipe:////./pipe/docker_engine", source: "default" };
  const sockets = usualSockets(env, home);
  const socket = sockets.find((path) => existsSync(path)) ?? (sockets[0] as string);
  return { host: `unix://${socket}`, source: "default" };
}

/** Path of a socket or pipe; null for an engine that is reached over the network. */
export function socketOf(address: EngineAddress): string | null {
  const path = /^(?:unix|npipe):\/\/(.*)$/.exec(address.host)?.[1];
  return path === undefined ? null : path;
}
