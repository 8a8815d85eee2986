/** A connection to one container engine. The first connection loads the client library. */

import type { IncomingMessage } from "node:http";
import { hostname, release } from "node:os";
import type { Readable } from "node:stream";
import type Docker from "dockerode";
import { StackwardenError } from "../../../errors.js";
import { timeoutSignal } from "../../../system/wait.js";
import { type EngineAddress, socketOf } from "./address.js";
import { isConnectionError, unreachable } from "./errors.js";
import { openSshSocket } from "./ssh-socket.js";

/** The fields that are used from the engine's system information. */
export interface EngineInfo {
  name: string;
  version: string;
  operatingSystem: string;
  /** As Compose writes it, for example `linux/amd64`. */
  platform: string;
  cpus: number;
  memoryMb: number;
  /** Podman implements the same API with some differences. */
  podman: boolean;
  rootless: boolean;
  userNamespaces: boolean;
  /** How the engine builds: BuildKit by default, on request, or never. */
  buildKit: "default" | "available" | "none";
  /** True when the engine can mount a folder of a volume. */
  subpaths: boolean;
  /** True when the engine has an init program for `Init: true`. */
  init: boolean;
  /** True when that program is Docker's, below which commands in a container are started. */
  dockerInit: boolean;
  cgroupVersion: string;
  /** The limits that the engine's kernel can enforce. */
  limits: { memory: boolean; cpus: boolean; pids: boolean };
  seccomp: boolean;
  warnings: string[];
}

export interface Engine {
  readonly address: EngineAddress;
  readonly docker: Docker;
  readonly info: EngineInfo;
  /** True when the engine's socket is a file of this machine; the engine itself may still run in a virtual machine. */
  readonly socket: boolean;
  /**
   * True when the engine runs on this machine's kernel: its bind mounts are folders of this machine, and its process
   * ids are valid here.
   */
  readonly sameMachine: boolean;
  close(): Promise<void>;
}

interface RawInfo {
  Name?: string;
  ServerVersion?: string;
  OperatingSystem?: string;
  NCPU?: number;
  MemTotal?: number;
  SecurityOptions?: string[] | null;
  InitBinary?: string;
  CgroupVersion?: string;
  CgroupDriver?: string;
  MemoryLimit?: boolean;
  CpuCfsQuota?: boolean;
  CPUCfsQuota?: boolean;
  PidsLimit?: boolean;
  Warnings?: string[] | null;
  OSType?: string;
  Architecture?: string;
  KernelVersion?: string;
}

const MB = 1_048_576;

/** Kernel names of architectures, and those of OCI images. */
const ARCHITECTURES: Readonly<Record<string, string>> = {
  x86_64: "amd64",
  aarch64: "arm64",
  armv7l: "arm",
  i686: "386",
};

/** Operating system and architecture of a platform; the variant (`/v8`) is left out. */
export function platformOf(text: string): string {
  const [os = "", architecture = ""] = text.toLowerCase().split("/");
  return `${os}/${ARCHITECTURES[architecture] ?? architecture}`;
}

/** The minor version of the API from which engines have BuildKit, and from which it is their default. */
const BUILDKIT_API = { available: 39, default: 42 };

/** The minor version of the API from which a folder of a volume can be mounted. */
const SUBPATH_API = 45;

/** Minor version of API 1; infinite for later major versions. */
function minorOf(apiVersion: string): number {
  const [major = 0, minor = 0] = apiVersion.split(".").map(Number);
  return major > 1 ? Number.POSITIVE_INFINITY : minor;
}

function buildKitOf(apiVersion: string): EngineInfo["buildKit"] {
  const minor = minorOf(apiVersion);
  if (minor >= BUILDKIT_API.default) return "default";
  return minor >= BUILDKIT_API.available ? "available" : "none";
}

export function readInfo(
  raw: RawInfo,
  { podman = false, version: apiVersion = "" }: Partial<EngineApi> = {},
): EngineInfo {
  const options = raw.SecurityOptions ?? [];
  return {
    name: podman ? "Podman" : "Docker Engine",
    version: raw.ServerVersion ?? "unknown",
    operatingSystem: raw.OperatingSystem ?? "unknown",
    platform: platformOf(`${raw.OSType ?? "linux"}/${raw.Architecture ?? ""}`),
    cpus: raw.NCPU ?? 1,
    memoryMb: Math.floor((raw.MemTotal ?? 0) / MB),
    podman,
    rootless: options.some((option) => /name=rootless/.test(option)),
    userNamespaces: options.some((option) => /name=userns/.test(option)),
    buildKit: podman ? "none" : buildKitOf(apiVersion),
    subpaths: !podman && minorOf(apiVersion) >= SUBPATH_API,
    init: podman || (raw.InitBinary ?? "") !== "",
    dockerInit: !podman && (raw.InitBinary ?? "") !== "",
    cgroupVersion: raw.CgroupVersion || "1",
    limits: {
      memory: raw.MemoryLimit !== false && raw.CgroupDriver !== "none",
      cpus: (raw.CpuCfsQuota ?? raw.CPUCfsQuota) !== false && raw.CgroupDriver !== "none",
      pids: raw.PidsLimit !== false && raw.CgroupDriver !== "none",
    },
    seccomp: options.some((option) => /name=seccomp/.test(option)),
    warnings: raw.Warnings ?? [],
  };
}

export interface EngineApi {
  /** The latest version of the API that the engine has. */
  version: string;
  /** True for Podman, which has an API besides Docker's. */
  podman: boolean;
}

/**
 * Reads the headers of a ping. The request for versions says the same, but Podman runs the system's package manager for it,
 * which takes seconds on a busy machine.
 */
async function apiOf({ modem }: Docker, abortSignal: AbortSignal): Promise<EngineApi> {
  const { dial } = modem as unknown as { dial: Dial };
  const ping = { path: "/_ping", method: "GET", isStream: true, statusCodes: { 200: true }, abortSignal };
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    dial.call(modem, ping, (error, answer) => (error ? reject(error) : resolve(answer as IncomingMessage)));
  });
  response.resume();
  return {
    version: String(response.headers["api-version"] ?? ""),
    podman: response.headers["libpod-api-version"] !== undefined,
  };
}

/** Options of the client library. A host of `undefined` keeps it from reading `DOCKER_HOST` itself. */
function clientOptions(address: EngineAddress, socketPath: string | null): Docker.DockerOptions {
  if (socketPath !== null) return { socketPath, host: undefined, protocol: "http" };
  const { hostname, port, protocol } = new URL(address.host);
  const { tls } = address;
  const secure = tls !== undefined || protocol === "https:";
  return {
    host: hostname,
    port: port || (secure ? 2376 : 2375),
    protocol: secure ? "https" : "http",
    ...(tls === undefined ? {} : { ca: tls.ca, cert: tls.cert, key: tls.key }),
    ...(tls?.skipVerify === true ? { checkServerIdentity: () => undefined } : {}),
  } as Docker.DockerOptions;
}

type Dial = (options: DialOptions, callback: (error: unknown, result?: unknown) => void) => void;

interface DialOptions {
  isStream?: boolean;
  hijack?: boolean;
  openStdin?: boolean;
}

async function parsed(response: Readable): Promise<unknown> {
  const parts: Buffer[] = [];
  for await (const chunk of response) parts.push(chunk as Buffer);
  const bytes = Buffer.concat(parts);
  try {
    return JSON.parse(bytes.toString());
  } catch {
    return bytes;
  }
}

/**
 * Reads every response as a stream, which fails when the connection breaks. The client library would otherwise wait
 * indefinitely for the rest of an interrupted response. The response to "wait for this container", for example, starts
 * at once and is completed at the exit.
 */
function readToTheEnd(docker: Docker): Docker {
  const modem = docker.modem as unknown as { dial: Dial };
  const dial = modem.dial.bind(modem);
  modem.dial = (options, callback) => {
    if (options.isStream || options.hijack || options.openStdin) return dial(options, callback);
    dial({ ...options, isStream: true }, (error, response) => {
      if (error) return callback(error);
      parsed(response as Readable).then((result) => callback(null, result), callback);
    });
  };
  return docker;
}

/**
 * Connects and reads the engine's system information.
 * @param signal bounds both steps
 * @throws RUNTIME_UNAVAILABLE, UNSUPPORTED for an engine of Windows containers, the signal's reason
 */
export async function openEngine(address: EngineAddress, env: NodeJS.ProcessEnv, signal: AbortSignal): Promise<Engine> {
  signal.throwIfAborted();
  const ssh = address.host.startsWith("ssh://") ? await openSshSocket(address.host, env) : null;
  try {
    const { default: Client } = await import("dockerode");
    const docker = readToTheEnd(new Client(clientOptions(address, ssh?.path ?? socketOf(address))));
    const ask = { abortSignal: signal };
    const [raw, api] = await Promise.all([
      docker.info(ask as never) as unknown as Promise<RawInfo>,
      apiOf(docker, signal),
    ]);
    if (raw.OSType !== undefined && raw.OSType !== "linux")
      throw new StackwardenError(
        "UNSUPPORTED",
        `The container engine at ${address.host} runs ${raw.OSType} containers.`,
        {
          hint: "Switch Docker Desktop to Linux containers.",
        },
      );
    return {
      address,
      docker,
      info: readInfo(raw, api),
      socket: socketOf(address) !== null,
      sameMachine: socketOf(address) !== null && raw.Name === hostname() && raw.KernelVersion === release(),
      close: async () => ssh?.close(),
    };
  } catch (error) {
    await ssh?.close();
    signal.throwIfAborted();
    if (error instanceof StackwardenError) throw error;
    throw isConnectionError(error) || error instanceof Error ? unreachable(address.host, error) : error;
  }
}

/** Milliseconds in which an engine must answer. */
const CONNECT_MS = 15_000;

/**
 * Connects, as `openEngine`, for a limited time.
 * @throws RUNTIME_UNAVAILABLE also for an engine that accepts the connection and does not answer
 */
export async function connect(
  address: EngineAddress,
  env: NodeJS.ProcessEnv,
  { signal, connectMs = CONNECT_MS }: { signal?: AbortSignal; connectMs?: number } = {},
): Promise<Engine> {
  const late = timeoutSignal(connectMs);
  try {
    return await openEngine(address, env, signal === undefined ? late : AbortSignal.any([signal, late]));
  } catch (error) {
    signal?.throwIfAborted();
    throw error === late.reason ? unreachable(address.host, new Error(`nothing within ${connectMs} ms`)) : error;
  }
}
