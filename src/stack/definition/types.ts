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
  protocol: "tcp";
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

/** Compose healthcheck; Compose's own defaults (30 s, 30 s, 3, 0 s, 5 s) are already filled in. */
export interface Healthcheck {
  test: HealthTest;
  /** The file's own `test` where `x-probe` is given too: what runs inside the service on runtimes that have its image. */
  command?: HealthTest;
  intervalMs: number;
  timeoutMs: number;
  retries: number;
  startPeriodMs: number;
  startIntervalMs: number;
}

export interface RestartPolicy {
  policy: "no" | "always" | "on-failure" | "unless-stopped";
  /** Only with on-failure; `undefined`: without limit. */
  maxRetries?: number;
}

export type Mount =
  | { type: "volume"; source: string; target: string; readOnly: boolean }
  /** `source` is an absolute path, symbolic links resolved, below the project's folder. */
  | { type: "bind"; source: string; target: string; readOnly: boolean }
  | { type: "tmpfs"; target: string; sizeBytes?: number };

export interface BuildDefinition {
  /** Absolute, below the project's folder. */
  context: string;
  dockerfile?: string;
  target?: string;
  args: Record<string, string>;
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
  /** Ports other services of the stack may use (`expose`), beside the published ones. */
  expose: number[];
  dependsOn: Record<string, Dependency>;
  healthcheck?: Healthcheck;
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
  /** Names of secrets mounted at /run/secrets/<target>. */
  secrets: { source: string; target: string }[];
  /** True only when the server's configuration grants it. */
  allowRoot: boolean;
  local?: LocalDefinition;
  /** Argument vectors of the commands that the file declares (`x-commands`), by name. */
  commands?: Record<string, string[]>;
}

export interface StackDefinition {
  /** The compose file's `name`, or the project's id. */
  name: string;
  /** Absolute path of the compose file, or `built-in:commandcenter`. */
  source: string;
  /** Active services only, in the file's order. Null prototype. */
  services: Record<string, ServiceDefinition>;
  /** Named volumes in use. */
  volumes: string[];
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
  /** Generated once per project and kept; called for secrets with `x-generate: true` that the environment does not give. */
  generateSecret(name: string): Promise<string>;
  /** Services whose root user the server's configuration allows. */
  allowRoot: string[];
}
/** `loadStack(request: LoadRequest): Promise<StackDefinition>` reads `<folder>/compose.yaml` (or compose.yml, docker-compose.yaml/.yml), else the built-in CommandCenter definition. */
export type LoadStack = (request: LoadRequest) => Promise<StackDefinition>;
