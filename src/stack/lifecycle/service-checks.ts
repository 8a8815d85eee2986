/**
 * Chooses the health checks of a service: those of the file, else checks for known images and published ports. A
 * service without any of these counts as running.
 */
import { StackwardenError } from "../../errors.js";
import { parseImageName } from "../definition/image-name.js";
import type { Healthcheck, HealthTest, ServiceDefinition, StackDefinition } from "../definition/types.js";
import { RUNTIME_TRAITS, type RuntimeName } from "../vocabulary.js";

/**
 * Timing of checks that stackwarden adds: a service has 60 s to listen; after that, two consecutive failures make it
 * unhealthy.
 */
const TIMING = { intervalMs: 5_000, timeoutMs: 3_000, retries: 2, startPeriodMs: 60_000, startIntervalMs: 250 };

interface KnownImage {
  port: number;
  /** Default: a TCP connection to the port. */
  test?: HealthTest;
  /** Preferred where a command can run inside the service. It must not need a password. */
  command?: HealthTest;
}

const shell = (command: string): HealthTest => ({ kind: "cmd-shell", command });

const POSTGRES: KnownImage = {
  port: 5432,
  test: { kind: "postgres" },
  // Use TCP: during the initialisation of a new volume, the server listens only on its Unix socket.
  command: shell("pg_isready -q -h 127.0.0.1"),
};
const REDIS: KnownImage = {
  port: 6379,
  test: { kind: "redis" },
  command: { kind: "cmd", argv: ["redis-cli", "ping"] },
};
const VALKEY: KnownImage = { ...REDIS, command: { kind: "cmd", argv: ["valkey-cli", "ping"] } };
// A connection that ends before its handshake counts as an error of its host, which MySQL blocks after a hundred of them.
const MYSQL: KnownImage = {
  port: 3306,
  command: shell("mysqladmin ping -h 127.0.0.1 --silent || mariadb-admin ping -h 127.0.0.1 --silent"),
};

const MONGO_PORT = 27_017;

/** Checks of official images, by name on Docker Hub. */
const IMAGES: ReadonlyMap<string, KnownImage> = new Map([
  ["postgres", POSTGRES],
  ["redis", REDIS],
  ["valkey/valkey", VALKEY],
  ["mysql", MYSQL],
  ["mariadb", MYSQL],
  ["mongo", { port: MONGO_PORT }],
  ["rabbitmq", { port: 5672 }],
  ["memcached", { port: 11_211 }],
  ["nginx", { port: 80 }],
  ["httpd", { port: 80 }],
  ["caddy", { port: 80 }],
  ["nats", { port: 4222 }],
  ["elasticsearch", { port: 9200 }],
  ["influxdb", { port: 8086 }],
]);

function knownImage(image: string | undefined): KnownImage | undefined {
  if (image === undefined) return undefined;
  const { path, onDockerHub } = parseImageName(image);
  return onDockerHub ? IMAGES.get(path) : undefined;
}

const SERVERS =
  /^(?:postgres|redis-server|valkey-server|mysqld|mariadbd|mongod|rabbitmq-server|memcached|nginx|httpd|httpd-foreground|caddy|nats-server|eswrapper|influxd)$/;

/** True when the service runs the image's server, and not a dump, a migration or a shell. */
function runsServer(entrypoint: readonly string[] | undefined, command: readonly string[] | undefined): boolean {
  const [program = "", flag, script = ""] = [...(entrypoint ?? []), ...(command ?? [])];
  if (program === "" || program.startsWith("-")) return true;
  const first = flag === "-c" ? (script.replace(/^exec\s+/, "").split(/\s/, 1)[0] ?? "") : program;
  return SERVERS.test(first.slice(first.lastIndexOf("/") + 1));
}

/** The known image or provider that this runtime runs for the service; undefined when stackwarden does not know it. */
function knownService(
  { image, build, command, entrypoint, local }: ServiceDefinition,
  runtime: RuntimeName,
): KnownImage | undefined {
  if (!RUNTIME_TRAITS[runtime].images) {
    if (local?.provider === undefined) return undefined;
    return local.provider === "postgres" ? POSTGRES : REDIS;
  }
  return build === undefined && runsServer(entrypoint, command) ? knownImage(image) : undefined;
}

/** True for databases whose servers create their data in an empty volume before they answer. */
export function initialisesVolume(service: ServiceDefinition, runtime: RuntimeName): boolean {
  const image = knownService(service, runtime);
  return image === POSTGRES || image === MYSQL || image?.port === MONGO_PORT;
}

/** The server program of a service that runs the image of Redis or Valkey; undefined for others. */
export function redisServer(service: ServiceDefinition, runtime: RuntimeName): string | undefined {
  const image = knownService(service, runtime);
  if (image === REDIS) return "redis-server";
  return image === VALKEY ? "valkey-server" : undefined;
}

const implied = (test: HealthTest, command?: HealthTest): Healthcheck => ({
  ...TIMING,
  test,
  ...(command === undefined ? {} : { command }),
});

/**
 * The checks of a service, all of which must succeed. Empty when the service has no check.
 * @param ofImage the health check declared by the image of a running instance
 */
export function checksOf(service: ServiceDefinition, runtime: RuntimeName, ofImage?: Healthcheck): Healthcheck[] {
  const { healthcheck } = service;
  if (healthcheck !== undefined) return healthcheck.test.kind === "none" ? [] : [healthcheck];
  if (ofImage !== undefined) return [ofImage];
  const image = knownService(service, runtime);
  const tcp = service.ports.filter(({ protocol }) => protocol === "tcp");
  const ports = [...new Set(tcp.map(({ containerPort }) => containerPort))];
  if (image?.test !== undefined) return [implied(image.test, image.command)];
  const checked = ports.length === 0 && image !== undefined ? [image.port] : ports;
  return checked.map((port) => implied({ kind: "tcp", port }, port === image?.port ? image.command : undefined));
}

const noCheck = (unchecked: readonly { service: string; dependency: string }[]): StackwardenError => {
  const list = unchecked.map(
    ({ service, dependency }) => `services.${service}.depends_on.${dependency} waits for service_healthy`,
  );
  const targets = [...new Set(unchecked.map(({ dependency }) => dependency))].join(", ");
  return new StackwardenError(
    "INVALID_STACK",
    `${list.join("; ")}, but nothing checks ${targets}: no healthcheck and no published port.`,
    {
      hint: `Give ${targets} a \`healthcheck\` (or \`x-probe\`), or depend on it with \`condition: service_started\`.`,
      details: { problems: unchecked },
    },
  );
};

/** The error for a running dependency whose image has no check either. */
export const uncheckedDependency = (service: string, dependency: string): StackwardenError =>
  noCheck([{ service, dependency }]);

/**
 * Requires a health check for `depends_on` with `condition: service_healthy`. On runtimes with images, the image may
 * provide the check, which is known only after the service runs.
 * @throws INVALID_STACK that names every dependency on a service without a check
 */
export function requireChecks(definition: StackDefinition, runtime: RuntimeName): void {
  const unchecked: { service: string; dependency: string }[] = [];
  for (const { name, dependsOn } of Object.values(definition.services))
    for (const [dependency, { condition }] of Object.entries(dependsOn)) {
      const other = definition.services[dependency];
      if (condition === "service_healthy" && other !== undefined && checksOf(other, runtime).length === 0)
        unchecked.push({ service: name, dependency });
    }
  if (unchecked.length > 0 && !RUNTIME_TRAITS[runtime].images) throw noCheck(unchecked);
}
