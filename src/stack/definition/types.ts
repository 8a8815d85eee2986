/** A stack definition: a compose file after parsing, interpolation and policy checks. */

/**
 * CPU in cores, memory in MB (1 MB = 1,048,576 bytes, as Docker counts), number of processes and threads. `undefined`:
 * no limit.
 */
export interface Limits {
  cpus?: number;
  memory_mb?: number;
  pids?: number;
}

/** A change of limits; null returns to the limit of the compose file. */
export type LimitChange = { [Name in keyof Limits]?: number | null };

/** A published port. It listens on 127.0.0.1 unless the operator opens it; files cannot change the address. */
export interface PortMapping {
  /** The port the service listens on inside its own network. */
  containerPort: number;
  /** The requested host port. Default: `preferredPort` or `containerPort` when free, else the next free port. */
  hostPort?: number;
  /** The host port that is tried first when `hostPort` is absent. Default: `containerPort`. */
  preferredPort?: number;
  /** Last port of a range; any free port of the range is used (`8000-8010:80`). */
  hostPortEnd?: number;
  protocol: "tcp" | "udp";
}

export type DependencyCondition = "service_started" | "service_healthy" | "service_completed_successfully";

export interface Dependency {
  condition: DependencyCondition;
  /** Restart this service when the dependency is restarted by an operation (Compose `depends_on.<x>.restart`). */
  restart: boolean;
  /** False: a missing dependency (profile not active) is not an error. */
  required: boolean;
}

/**
 * Kind of the check. `cmd` and `cmd-shell` run inside the service. `http`, `tcp`, `postgres` and `redis` are
 * stackwarden's own (`x-probe`).
 */
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
  /**
   * The file's `test` when `x-probe` is present too. Runtimes that use the image run this command inside the service.
   */
  command?: HealthTest;
}

export interface RestartPolicy {
  policy: "no" | "always" | "on-failure" | "unless-stopped";
  /** Only for on-failure; `undefined`: unlimited. */
  maxRetries?: number;
}

export interface VolumeMount {
  type: "volume";
  /** Name of a volume of the project; anonymous ones have the name of their service and path. */
  source: string;
  target: string;
  readOnly: boolean;
  /** The file does not name the volume. */
  anonymous?: true;
  /** Mounts only this folder of the volume; a relative path. */
  subpath?: string;
  /** Files of the image at the target are not copied into an empty volume. */
  noCopy?: true;
}

export interface BindMount {
  type: "bind";
  /** Absolute, symbolic links resolved; below the project's folder unless `outside`. */
  source: string;
  target: string;
  readOnly: boolean;
  /** The source is below a folder that the operator's `allow_binds` allows. */
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
  /** The Dockerfile's text; replaces the file. */
  dockerfileInline?: string;
  target?: string;
  args: Record<string, string>;
  labels?: Record<string, string>;
  /** Names for `FROM` and `COPY --from`, each a folder below the project, `docker-image://…`, or `service:<name>`. */
  additionalContexts?: Record<string, string>;
  /** Addresses by host name for the build's commands. */
  extraHosts?: Record<string, string[]>;
  shmSizeBytes?: number;
  noCache?: boolean;
  /** Pulls the base images although the engine has them. */
  pull?: boolean;
  /** Names of the stack's secrets, each with the id that the Dockerfile uses. */
  secrets?: { source: string; target: string }[];
}

/** A command that runs in a service after its start or before its stop. */
export interface ServiceHook {
  command: string[];
  environment: Record<string, string>;
  /** Default: the service's user. */
  user?: string;
  /** Default: the service's working directory. */
  workingDir?: string;
}

/** A secret or config as a file in a service. */
export interface FileMount {
  source: string;
  /** A plain name below /run/secrets (secrets only), or an absolute path. */
  target: string;
  uid?: number;
  gid?: number;
  /** Permission bits. Default 0o444. */
  mode?: number;
}

/** A service's attachment to one network. */
export interface NetworkAttachment {
  aliases: string[];
  ipv4Address?: string;
  ipv6Address?: string;
}

/** Addresses of a network (`ipam.config`), as the file has them. */
export interface NetworkAddresses {
  subnet: string;
  ipRange?: string;
  gateway?: string;
  /** Addresses that no service gets, by name. */
  auxiliary?: Record<string, string>;
}

export interface NetworkDefinition {
  /** The network has no access to other networks. */
  internal: boolean;
  /** The file refers to a network created elsewhere. A network of the project replaces it. */
  external: boolean;
  /** Absent: the runtime chooses addresses. */
  ipam?: NetworkAddresses[];
}

/** An attribute that a file uses and that has no effect on at least one runtime. */
export interface AttributeUse {
  /** Row of the table of attributes, e.g. `services.logging`. */
  attribute: string;
  service?: string;
}

/**
 * How the local runtime runs a service (`x-local`). In `command` and in every environment value, `{host}` and `{port}`
 * / `{port:8000}` are replaced by the address on which the service listens.
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

export const WATCH_ACTIONS = ["sync", "restart", "rebuild", "sync+restart", "sync+exec"] as const;

/** One rule of `develop.watch`. */
export interface WatchRule {
  action: (typeof WATCH_ACTIONS)[number];
  /** Absolute, below the project's folder. */
  path: string;
  /** Absolute path in the container that receives the files of `sync`. */
  target?: string;
  /** Patterns relative to the path, as in `.dockerignore`. */
  ignore: string[];
  /** When not empty, only files that match. */
  include: string[];
}

export interface ServiceDefinition {
  name: string;
  image?: string;
  build?: BuildDefinition;
  /** The service that `build` belongs to, when this one has only the name of the image that it creates. */
  builtBy?: string;
  command?: string[];
  entrypoint?: string[];
  /**
   * Final values, except for published addresses: the token `{published:<service>:<port>}` is replaced by the
   * `host:port` of that published port after ports are assigned.
   */
  environment: Record<string, string>;
  /** Names in `environment` whose value contains a secret. The values are never shown. */
  secretEnvironment: string[];
  user?: string;
  workingDir?: string;
  ports: PortMapping[];
  /** UDP ports of `expose`. */
  exposeUdp?: number[];
  /** Ports that other services of the stack may use (`expose`), in addition to the published ones. */
  expose: number[];
  dependsOn: Record<string, Dependency>;
  healthcheck?: Healthcheck;
  /** Timings for the image's check, when the file sets timings without a test. */
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
  /** An additional host name of the service for other services. */
  containerName?: string;
  hostname?: string;
  domainName?: string;
  /** Networks by their name in the file. Absent: the network `default`. */
  networks?: Record<string, NetworkAttachment>;
  /** The service has no network (`network_mode: none`). */
  networkMode?: "none";
  /** Additional names of other services that only this service can use: alias → service. */
  links?: Record<string, string>;
  /** Addresses by host name; `host-gateway` is the address of the host machine. */
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
  /** Number of instances. Default 1. A definition for a runtime has a service for each instance instead. */
  replicas?: number;
  /** Name of the service of which this is a further instance. */
  instanceOf?: string;
  /** Group names or ids in addition to the user's own. */
  groupAdd?: string[];
  memorySwappiness?: number;
  oomScoreAdj?: number;
  cpuset?: string;
  cpuShares?: number;
  annotations?: Record<string, string>;
  /** Run in the service, one after the other, once its process runs; the start fails when one fails. */
  postStart?: ServiceHook[];
  /** Run in the service, one after the other, before it gets the stop signal, within its grace period. */
  preStop?: ServiceHook[];
  /** True when the server's configuration allows the service to run as root. */
  allowRoot: boolean;
  local?: LocalDefinition;
  /** Argument vectors of the commands that the file declares (`x-commands`), by name. */
  commands?: Record<string, string[]>;
  /** `develop.watch`. */
  watch?: WatchRule[];
}

export interface StackDefinition {
  /** The compose file's `name`, or the project's id. */
  name: string;
  /** Absolute path of the first compose file, or `built-in:commandcenter`. */
  source: string;
  /** Absolute paths of all compose files that were read, the first one first. */
  files?: string[];
  /** Absolute paths of the other files whose text is in the definition: env files, files of secrets and configs, and `.env`. */
  inputs?: string[];
  /** Active services only, in the file's order. Null prototype. */
  services: Record<string, ServiceDefinition>;
  /** Volumes in use, anonymous ones included. */
  volumes: string[];
  /** Named volumes that the files declare, also those of services that are not active. Default: those in `volumes`. */
  declaredVolumes?: string[];
  /** Networks in use, by their name in the file. */
  networks?: Record<string, NetworkDefinition>;
  /** Contents of the configs in use, by name. */
  configs?: Record<string, Buffer>;
  /** Contents of secrets that are not UTF-8 text, by name. The other secrets are in `secrets`. */
  binarySecrets?: Record<string, Buffer>;
  /** Attributes of the files that not every runtime supports. `forRuntime` converts them to notes. */
  uses?: AttributeUse[];
  /** All secret values of the stack. They are redacted in all output. */
  secretValues: string[];
  /**
   * Absolute, real paths of the project's files that contain secrets: `.env`, secret files, `.npmrc` files with a
   * credential next to an installed manifest, and env files and compose files that contain a secret. Copies of the
   * project's folders exclude them.
   */
  privateFiles?: string[];
  /** Resolved values of the top-level secrets, by name. */
  secrets: Record<string, string>;
  /** Notes of the compose reader, for example services of the built-in stack whose folder is absent. */
  notes: string[];
  /** Dependencies that a call left out, by the service that starts without them. Absent: none. */
  missingDependencies?: Record<string, string[]>;
  /** Absent: none. */
  unknownHosts?: UnknownHost[];
}

/** A host in a URL of a service's environment that no service of the files has as a name. */
export interface UnknownHost {
  service: string;
  variable: string;
  host: string;
  /** The service with the most similar name. */
  near?: string;
}

/** Input of the compose reader (src/stack/definition/load.ts). */
export interface LoadRequest {
  projectId: string;
  /** Absolute, real path. */
  folder: string;
  /** Services of these profiles are active too. */
  profiles: string[];
  /** Compose files, relative to the folder. Default: COMPOSE_FILE of `.env`, else the default names. */
  files?: string[];
  /** Only these services and what they depend on. Default: all active ones. */
  services?: string[];
  /** Excluded services. The others start as if they did not depend on them. */
  without?: string[];
  /**
   * Returns the generated value of a secret, which is created once per project and stored. Called for secrets with
   * `x-generate: true` that have no other value.
   */
  generateSecret(name: string): Promise<string>;
  /** Services whose root user the server's configuration allows. */
  allowRoot: string[];
  /**
   * Absolute folders outside the project that the server's configuration allows to bind. A suffix `:rw` also allows
   * writing.
   */
  allowBinds?: string[];
}
/** `loadStack(request: LoadRequest): Promise<StackDefinition>` reads `<folder>/compose.yaml` (or compose.yml, docker-compose.yaml/.yml), else the built-in CommandCenter definition. */
export type LoadStack = (request: LoadRequest) => Promise<StackDefinition>;
