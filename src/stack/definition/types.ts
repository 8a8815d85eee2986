/** A stack as the domain knows it: what is left of a compose file after parsing, interpolation and policy. */

/** CPU in cores, memory in MB (1 MB = 1,048,576 bytes, as Docker counts), number of processes and threads. `undefined`: no limit asked for. */
export interface Limits {
  cpus?: number;
  memory_mb?: number;
  pids?: number;
}

/** A published port. Where it listens is not the file's to say: on 127.0.0.1, unless the operator opens it. */
export interface PortMapping {
  /** The port the service listens on inside its own network. */
  containerPort: number;
  /** The host port asked for; `undefined`: containerPort when free, else the next free one. */
  hostPort?: number;
  /** The host port that is tried first where none is asked for. Default: `containerPort`. */
  preferredPort?: number;
  /** Last port of a range in which any free one will do (`8000-8010:80`). */
  hostPortEnd?: number;
  protocol: "tcp" | "udp";
}

export type DependencyCondition = "service_started" | "service_healthy" | "service_completed_successfully";

export interface Dependency {
  condition: DependencyCondition;
  /** Restart this service when the dependency is restarted by an operation (Compose `depends_on.<x>.restart`). */
  restart: boolean;
  /** False: a missing dependency (profile not active) is no error. */
  required: boolean;
}

/** How the check is made. `CMD` and `CMD-SHELL` run inside the service; the others are stackwarden's own (`x-probe`). */
export type HealthTest =
  | { kind: "none" }
  | { kind: "cmd"; argv: string[] }
  | { kind: "cmd-shell"; command: string }
  | { kind: "http"; port: number; path: string; status: number }
  | { kind: "tcp"; port: number }
  | { kind: "postgres" }
  | { kind: "redis" };

export interface HealthTimings {
  intervalMs: number;
  timeoutMs: number;
  retries: number;
  startPeriodMs: number;
  startIntervalMs: number;
}

/** Compose healthcheck; Compose's own defaults (30 s, 30 s, 3, 0 s, 5 s) are already filled in. */
export interface Healthcheck extends HealthTimings {
  test: HealthTest;
  /** The file's own `test` where `x-probe` is given too: what runs inside the service on runtimes that have its image. */
  command?: HealthTest;
}

export interface RestartPolicy {
  policy: "no" | "always" | "on-failure" | "unless-stopped";
  /** Only with on-failure; `undefined`: without limit. */
  maxRetries?: number;
}

export interface VolumeMount {
  type: "volume";
  /** Name of a volume of the project; anonymous ones have the name of their service and path. */
  source: string;
  target: string;
  readOnly: boolean;
  /** The file gives it no name. */
  anonymous?: true;
  /** Only this folder of the volume, relative. */
  subpath?: string;
  /** What the image has at the target is not copied into an empty volume. */
  noCopy?: true;
}

export interface BindMount {
  type: "bind";
  /** Absolute, symbolic links resolved; below the project's folder unless `outside`. */
  source: string;
  target: string;
  readOnly: boolean;
  /** It lies below a folder that the operator's `allow_binds` opens. */
  outside?: true;
  /** False: the start fails when the source is missing. Default: it is created as a folder. */
  createHostPath?: false;
  propagation?: string;
}

export interface TmpfsMount {
  type: "tmpfs";
  target: string;
  sizeBytes?: number;
  /** Permission bits, e.g. 0o1777. */
  mode?: number;
}

export type Mount = VolumeMount | BindMount | TmpfsMount;

export interface BuildDefinition {
  /** Absolute, below the project's folder. */
  context: string;
  dockerfile?: string;
  /** The Dockerfile's text, in place of a file. */
  dockerfileInline?: string;
  target?: string;
  args: Record<string, string>;
  labels?: Record<string, string>;
  /** Names for `FROM` and `COPY --from`, each a folder below the project, `docker-image://…`, or `service:<name>`. */
  additionalContexts?: Record<string, string>;
  cacheFrom?: string[];
  noCache?: boolean;
  pull?: boolean;
  shmSizeBytes?: number;
  platforms?: string[];
  /** Names of the stack's secrets, each with the id that the Dockerfile uses. */
  secrets?: { source: string; target: string }[];
}

/** A secret or config as a file in a service. */
export interface FileMount {
  source: string;
  /** A plain name below /run/secrets (secrets alone), or an absolute path. */
  target: string;
  uid?: number;
  gid?: number;
  /** Permission bits. Default 0o444. */
  mode?: number;
}

/** A service's place in one network. */
export interface NetworkAttachment {
  aliases: string[];
  ipv4Address?: string;
  ipv6Address?: string;
}

export interface NetworkDefinition {
  /** No way out of the network. */
  internal: boolean;
  /** The file means a network that is made elsewhere; a network of the project takes its place. */
  external: boolean;
}

/** What one file asks for that is accepted without effect, or that not every runtime does. */
export interface AttributeUse {
  /** Row of the table of attributes, e.g. `services.logging`. */
  attribute: string;
  service?: string;
}

/**
 * How the local runtime runs a service (`x-local`). In `command` and in every environment value
 * `{host}` and `{port}` / `{port:8000}` stand for the address this service listens on.
 */
export interface LocalDefinition {
  provider?: "postgres" | "redis";
  command?: string[];
  /** Absolute, below the project's folder. Default: the project's folder. */
  workingDir?: string;
  /** Installs dependencies before the command: `python` (requirements.txt into a virtual environment) or `node` (package.json). */
  install?: { kind: "python" | "node"; manifest: string };
  environment: Record<string, string>;
}

export interface ServiceDefinition {
  name: string;
  image?: string;
  build?: BuildDefinition;
  command?: string[];
  entrypoint?: string[];
  /**
   * Values as they will be, but for published addresses: the token `{published:<service>:<port>}`
   * stands for the `host:port` under which that port is published, known only once ports are chosen.
   */
  environment: Record<string, string>;
  /** Names in `environment` whose value holds a secret; never shown. */
  secretEnvironment: string[];
  user?: string;
  workingDir?: string;
  ports: PortMapping[];
  /** UDP ports of `expose`. */
  exposeUdp?: number[];
  /** Ports other services of the stack may use (`expose`), beside the published ones. */
  expose: number[];
  dependsOn: Record<string, Dependency>;
  healthcheck?: Healthcheck;
  /** Timings for the check that the image has: the file gives them without a test of its own. */
  healthTimings?: HealthTimings;
  restart: RestartPolicy;
  mounts: Mount[];
  limits: Limits;
  reservations: Limits;
  /** Default SIGTERM. */
  stopSignal: string;
  /** Compose default 10 s. */
  stopGracePeriodMs: number;
  readOnly: boolean;
  init: boolean;
  labels: Record<string, string>;
  profiles: string[];
  secrets: FileMount[];
  configs?: FileMount[];
  /** One more name under which other services reach it. */
  containerName?: string;
  hostname?: string;
  domainName?: string;
  /** Networks by their name in the file. Absent: the network `default`. */
  networks?: Record<string, NetworkAttachment>;
  /** No network at all (`network_mode: none`). */
  networkMode?: "none";
  /** Further names for other services, for this service alone: alias → service. */
  links?: Record<string, string>;
  /** Addresses by name; `host-gateway` is the machine. */
  extraHosts?: Record<string, string[]>;
  dns?: string[];
  dnsSearch?: string[];
  dnsOptions?: string[];
  ulimits?: Record<string, { soft: number; hard: number }>;
  shmSizeBytes?: number;
  /** Kernel parameters of the container's own namespaces. */
  sysctls?: Record<string, string>;
  tty?: boolean;
  stdinOpen?: boolean;
  platform?: string;
  pullPolicy?: string;
  /** Number of instances. Default 1. */
  replicas?: number;
  /** Group names or numbers beside the user's own. */
  groupAdd?: string[];
  memorySwappiness?: number;
  oomScoreAdj?: number;
  cpuset?: string;
  cpuShares?: number;
  annotations?: Record<string, string>;
  /** True only when the server's configuration grants it. */
  allowRoot: boolean;
  local?: LocalDefinition;
  /** Argument vectors of the commands that the file declares (`x-commands`), by name. */
  commands?: Record<string, string[]>;
}

export interface StackDefinition {
  /** The compose file's `name`, or the project's id. */
  name: string;
  /** Absolute path of the first compose file, or `built-in:commandcenter`. */
  source: string;
  /** Absolute paths of all compose files that were read, the first one first. */
  files?: string[];
  /** Active services only, in the file's order. Null prototype. */
  services: Record<string, ServiceDefinition>;
  /** Volumes in use, anonymous ones included. */
  volumes: string[];
  /** Networks in use, by their name in the file. */
  networks?: Record<string, NetworkDefinition>;
  /** Contents of the configs in use, by name. */
  configs?: Record<string, Buffer>;
  /** Contents of those secrets that are not text, by name; the others are in `secrets`. */
  binarySecrets?: Record<string, Buffer>;
  /** What the files ask for that not every runtime does; `forRuntime` turns it into notes. */
  uses?: AttributeUse[];
  /** Every secret value of this stack, to be redacted wherever text leaves it. */
  secretValues: string[];
  /**
   * Absolute, real paths of the project's files that secrets come from: `.env` where it is, files of secrets, npm's
   * settings with a credential beside a manifest that is installed from, and those
   * env files and that compose file in which a secret is written. Copies of the project's folders leave them out.
   */
  privateFiles?: string[];
  /** Resolved values of the top-level secrets, by name. */
  secrets: Record<string, string>;
  /** What the reader wants to be known, e.g. services of the built-in stack whose folder is absent. */
  notes: string[];
}

/** Input of the compose reader (src/stack/definition/load.ts). */
export interface LoadRequest {
  projectId: string;
  /** Absolute, real path. */
  folder: string;
  /** Services of these profiles are active too. */
  profiles: string[];
  /** Compose files, relative to the folder. Default: COMPOSE_FILE of `.env`, else the usual names. */
  files?: string[];
  /** Only these services and what they depend on. Default: all active ones. */
  services?: string[];
  /** Services that are left out; the others start as if they did not depend on them. */
  without?: string[];
  /** Generated once per project and kept; called for secrets with `x-generate: true` that the environment does not give. */
  generateSecret(name: string): Promise<string>;
  /** Services whose root user the server's configuration allows. */
  allowRoot: string[];
  /** Absolute folders outside the project that the server's configuration allows to bind; `:rw` at the end: also to write. */
  allowBinds?: string[];
}
/** `loadStack(request: LoadRequest): Promise<StackDefinition>` reads `<folder>/compose.yaml` (or compose.yml, docker-compose.yaml/.yml), else the built-in CommandCenter definition. */
export type LoadStack = (request: LoadRequest) => Promise<StackDefinition>;
