/**
 * Services that run several times (`scale`, `deploy.replicas`). Each further instance is a service with the definition of
 * the first one and the name `<service>-2`, `<service>-3` and so on: it has its own state, log, checks, limits and restarts.
 */
import { RUNTIME_TRAITS, type RuntimeName } from "../vocabulary.js";
import { parseImageName } from "./image-name.js";
import { isDatabase } from "./shared-volumes.js";
import type { Dependency, PortMapping, ServiceDefinition, StackDefinition } from "./types.js";

/** Maximum services of a stack, further instances included. */
const MOST_SERVICES = 500;

/** Images whose server must be the only one that uses its folder of data. */
const DATABASES = new Set([
  "postgres",
  "postgis",
  "pgvector",
  "timescaledb",
  "mysql",
  "mariadb",
  "mongo",
  "redis",
  "valkey",
]);

const instanceName = (service: string, index: number): string => `${service}-${index}`;

/** Names of the further instances. */
const furtherNames = ({ name, replicas = 1 }: ServiceDefinition): string[] =>
  Array.from({ length: replicas - 1 }, (_, at) => instanceName(name, at + 2));

const fixedPort = ({ hostPort, hostPortEnd }: PortMapping): boolean =>
  hostPort !== undefined && hostPortEnd === undefined;

/** Why the port cannot be published for every instance; null when it can. */
function portReason({ ports, replicas = 1 }: ServiceDefinition): string | null {
  const fixed = ports.find(fixedPort);
  if (fixed !== undefined)
    return `only one instance can use host port ${fixed.hostPort}; write a range (${fixed.hostPort}-${Number(fixed.hostPort) + replicas - 1}:${fixed.containerPort}) or no host port`;
  const narrow = ports.find(
    ({ hostPort, hostPortEnd }) => hostPort !== undefined && Number(hostPortEnd) - hostPort + 1 < replicas,
  );
  return narrow === undefined
    ? null
    : `the host ports ${narrow.hostPort}-${narrow.hostPortEnd} are fewer than its ${replicas} instances`;
}

const keepsData = (service: ServiceDefinition): boolean =>
  (isDatabase(service) ||
    (service.build === undefined &&
      service.image !== undefined &&
      DATABASES.has(parseImageName(service.image).name))) &&
  service.mounts.some((mount) => mount.type !== "tmpfs" && !mount.readOnly);

/** Why the service runs once on this runtime; null when it can run as often as its file says. */
function onceBecause(service: ServiceDefinition, definition: StackDefinition, runtime: RuntimeName): string | null {
  // A note of the table of attributes has the reason.
  const { instances } = RUNTIME_TRAITS[runtime];
  if (instances === "only") return "";
  const { ports, expose, networks = {} } = service;
  const used = furtherNames(service).find((one) => definition.services[one] !== undefined);
  if (used !== undefined) return `the stack has another service ${used}`;
  if (keepsData(service)) return "two databases cannot use the same data";
  if (instances === "first")
    return ports.length + expose.length > 0
      ? `it has ports, and on the ${runtime} runtime its name resolves to one instance only`
      : null;
  if (
    Object.values(networks).some(
      ({ ipv4Address, ipv6Address }) => ipv4Address !== undefined || ipv6Address !== undefined,
    )
  )
    return "only one instance can have the fixed address";
  return portReason(service);
}

function furtherInstance(service: ServiceDefinition, name: string): ServiceDefinition {
  // A restart of the first instance restarts the others, also when it applies changed files.
  const { watch: _watch, build, ...rest } = service;
  return {
    ...rest,
    name,
    instanceOf: service.name,
    // The build of the first instance has refreshed what this one uses.
    ...(build === undefined ? {} : { build: withoutRefresh(build) }),
    mounts: service.mounts.map((mount) =>
      mount.type === "volume" && mount.anonymous === true
        ? { ...mount, source: `${mount.source}-${name.slice(service.name.length + 1)}` }
        : mount,
    ),
  };
}

/** For services whose image another one builds: it has renewed the base images. */
export const withoutRefresh = ({ noCache: _noCache, pull: _pull, ...build }: NonNullable<ServiceDefinition["build"]>) =>
  build;

/** Dependents of a service depend on all of its instances. */
function onEveryInstance(
  dependsOn: ServiceDefinition["dependsOn"],
  further: ReadonlyMap<string, readonly string[]>,
): ServiceDefinition["dependsOn"] {
  const all: Record<string, Dependency> = Object.create(null);
  for (const [name, dependency] of Object.entries(dependsOn))
    for (const one of [name, ...(further.get(name) ?? [])]) all[one] = dependency;
  return all;
}

/**
 * Adds the further instances of services that run several times.
 * @param note called for each such service: with the names of its instances, or with the reason for a single one
 */
export function withInstances(
  definition: StackDefinition,
  runtime: RuntimeName,
  note: (text: string) => void,
): StackDefinition {
  const further = new Map<string, string[]>();
  let remaining = MOST_SERVICES - Object.keys(definition.services).length;
  for (const service of Object.values(definition.services)) {
    const { name, replicas = 1 } = service;
    if (replicas <= 1) continue;
    const reason =
      replicas - 1 > remaining
        ? `a stack has at most ${MOST_SERVICES} services`
        : onceBecause(service, definition, runtime);
    if (reason !== null) {
      if (reason !== "") note(`${name} runs once, not ${replicas} times: ${reason}.`);
      continue;
    }
    remaining -= replicas - 1;
    const names = furtherNames(service);
    further.set(name, names);
    const reach =
      RUNTIME_TRAITS[runtime].instances === "first"
        ? `the name ${name} resolves to the first one`
        : `the name ${name} resolves to all of them`;
    note(`${name} has ${replicas} instances: ${[name, ...names].join(", ")}; ${reach}.`);
  }
  const services: StackDefinition["services"] = Object.create(null);
  for (const { replicas: _replicas, ...service } of Object.values(definition.services)) {
    const first = further.size === 0 ? service : { ...service, dependsOn: onEveryInstance(service.dependsOn, further) };
    services[service.name] = first;
    for (const name of further.get(service.name) ?? []) services[name] = furtherInstance(first, name);
  }
  const volumes = Object.values(services).flatMap(({ mounts }) =>
    mounts.flatMap((mount) => (mount.type === "volume" ? [mount.source] : [])),
  );
  return { ...definition, services, volumes: [...new Set([...definition.volumes, ...volumes])] };
}
