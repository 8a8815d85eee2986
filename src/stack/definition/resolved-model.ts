/** Converts a definition back to a Compose project, as `docker compose config` prints it, with secrets hidden. */
import { secretEncodings } from "../text/secret-encodings.js";
import type {
  BuildDefinition,
  FileMount,
  Healthcheck,
  Limits,
  Mount,
  NetworkDefinition,
  ServiceDefinition,
  ServiceHook,
  StackDefinition,
} from "./types.js";

const HIDDEN = "[hidden]";
const MB = 1_048_576;
type Plain = Record<string, unknown>;

/** Drops undefined, false and empty fields. */
function compact(fields: Plain): Plain {
  return Object.fromEntries(
    Object.entries(fields).filter(
      ([, value]) =>
        value !== undefined &&
        value !== false &&
        !(typeof value === "object" && value !== null && Object.keys(value).length === 0),
    ),
  );
}

const seconds = (ms: number): string => (ms % 1000 === 0 ? `${ms / 1000}s` : `${ms}ms`);

function testOf({ test, command }: Healthcheck): unknown {
  const written = command ?? test;
  if (written.kind === "none") return ["NONE"];
  if (written.kind === "cmd") return ["CMD", ...written.argv];
  return written.kind === "cmd-shell" ? ["CMD-SHELL", written.command] : undefined;
}

const mountOf = (mount: Mount): Plain =>
  compact({
    type: mount.type,
    source: mount.type === "tmpfs" || (mount.type === "volume" && mount.anonymous === true) ? undefined : mount.source,
    target: mount.target,
    read_only: mount.type !== "tmpfs" && mount.readOnly,
    tmpfs: mount.type === "tmpfs" ? compact({ size: mount.sizeBytes, mode: mount.mode }) : undefined,
    volume: mount.type === "volume" ? compact({ nocopy: mount.noCopy, subpath: mount.subpath }) : undefined,
    ...(mount.type === "bind" && mount.createHostPath === false ? { bind: { create_host_path: false } } : {}),
  });

/** Values of secret variables are hidden. */
const environmentOf = (values: Record<string, string>, secret: readonly string[] = []): Plain =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [name, secret.includes(name) ? HIDDEN : value]));

const hooksOf = (hooks: readonly ServiceHook[] | undefined): Plain[] | undefined =>
  hooks?.map(({ command, user, workingDir, environment }) =>
    compact({ command, user, working_dir: workingDir, environment: environmentOf(environment) }),
  );

const fileOf = ({ source, target, uid, gid, mode }: FileMount): Plain =>
  compact({
    source,
    target,
    uid: uid === undefined ? undefined : String(uid),
    gid: gid === undefined ? undefined : String(gid),
    mode: mode === undefined ? undefined : `0${mode.toString(8)}`,
  });

const resourcesOf = ({ cpus, memory_mb, pids }: Limits): Plain =>
  compact({
    cpus: cpus === undefined ? undefined : String(cpus),
    memory: memory_mb === undefined ? undefined : String(Math.round(memory_mb * MB)),
    pids,
  });

function healthcheckOf({ healthcheck, healthTimings }: ServiceDefinition): Plain | undefined {
  const timings = healthcheck ?? healthTimings;
  if (timings === undefined) return undefined;
  const { test } = healthcheck ?? {};
  const own = test !== undefined && !["none", "cmd", "cmd-shell"].includes(test.kind) ? test : undefined;
  const { kind: type, ...probe } = own ?? { kind: undefined };
  return compact({
    test: healthcheck && testOf(healthcheck),
    "x-probe": type && { type, ...probe },
    interval: seconds(timings.intervalMs),
    timeout: seconds(timings.timeoutMs),
    retries: timings.retries,
    start_period: seconds(timings.startPeriodMs),
    start_interval: seconds(timings.startIntervalMs),
  });
}

const buildOf = (build: BuildDefinition): Plain =>
  compact({
    context: build.context,
    dockerfile: build.dockerfile,
    dockerfile_inline: build.dockerfileInline,
    target: build.target,
    args: { ...build.args },
    labels: build.labels && { ...build.labels },
    extra_hosts: build.extraHosts && { ...build.extraHosts },
    shm_size: build.shmSizeBytes,
    no_cache: build.noCache,
    pull: build.pull,
    secrets: build.secrets,
  });

/** An attachment without settings is written as an empty mapping. */
const attachmentsOf = (networks: NonNullable<ServiceDefinition["networks"]>): Plain =>
  Object.fromEntries(
    Object.entries(networks).map(([name, { aliases, ipv4Address, ipv6Address }]) => [
      name,
      compact({ aliases, ipv4_address: ipv4Address, ipv6_address: ipv6Address }),
    ]),
  );

function serviceOf(service: ServiceDefinition): Plain {
  const { build, restart, limits, command, entrypoint } = service;
  return {
    ...compact({
      image: service.image,
      build: build && service.builtBy === undefined ? buildOf(build) : undefined,
      user: service.user,
      working_dir: service.workingDir,
      environment: environmentOf(service.environment, service.secretEnvironment),
      container_name: service.containerName,
      hostname: service.hostname,
      domainname: service.domainName,
      network_mode: service.networkMode,
      networks: service.networks && attachmentsOf(service.networks),
      links: Object.entries(service.links ?? {}).map(([alias, name]) => `${name}:${alias}`),
      extra_hosts: service.extraHosts && { ...service.extraHosts },
      ports: service.ports.map(({ containerPort, hostPort, hostPortEnd, protocol }) =>
        compact({
          target: containerPort,
          published:
            hostPort === undefined
              ? undefined
              : hostPortEnd === undefined
                ? `${hostPort}`
                : `${hostPort}-${hostPortEnd}`,
          protocol,
        }),
      ),
      expose: [...service.expose.map(String), ...(service.exposeUdp ?? []).map((port) => `${port}/udp`)],
      depends_on: { ...service.dependsOn },
      healthcheck: healthcheckOf(service),
      restart:
        restart.policy === "no"
          ? undefined
          : `${restart.policy}${restart.maxRetries === undefined ? "" : `:${restart.maxRetries}`}`,
      volumes: service.mounts.map(mountOf),
      cpus: limits.cpus,
      mem_limit: limits.memory_mb === undefined ? undefined : Math.round(limits.memory_mb * MB),
      pids_limit: limits.pids,
      deploy: compact({ resources: compact({ reservations: resourcesOf(service.reservations) }) }),
      stop_signal: service.stopSignal === "SIGTERM" ? undefined : service.stopSignal,
      stop_grace_period: service.stopGracePeriodMs === 10_000 ? undefined : seconds(service.stopGracePeriodMs),
      read_only: service.readOnly,
      init: service.init,
      labels: { ...service.labels },
      profiles: service.profiles,
      secrets: service.secrets.map(fileOf),
      configs: service.configs?.map(fileOf),
      post_start: hooksOf(service.postStart),
      pre_stop: hooksOf(service.preStop),
      dns: service.dns,
      dns_search: service.dnsSearch,
      dns_opt: service.dnsOptions,
      ulimits: service.ulimits && { ...service.ulimits },
      shm_size: service.shmSizeBytes,
      sysctls: service.sysctls && { ...service.sysctls },
      tty: service.tty,
      stdin_open: service.stdinOpen,
      platform: service.platform,
      pull_policy: service.pullPolicy,
      group_add: service.groupAdd,
      mem_swappiness: service.memorySwappiness,
      oom_score_adj: service.oomScoreAdj,
      cpuset: service.cpuset,
      cpu_shares: service.cpuShares,
      annotations: service.annotations && { ...service.annotations },
      scale: service.replicas,
    }),
    // An empty list clears the image's own.
    ...(command === undefined ? {} : { command }),
    ...(entrypoint === undefined ? {} : { entrypoint }),
  };
}

const networkOf = ({ internal, external, ipam }: NetworkDefinition): Plain =>
  compact({
    internal,
    external,
    ipam: ipam && {
      config: ipam.map(({ subnet, ipRange, gateway, auxiliary }) =>
        compact({ subnet, ip_range: ipRange, gateway, aux_addresses: auxiliary && { ...auxiliary } }),
      ),
    },
  });

const mapValues = <T>(values: Readonly<Record<string, T>>, convert: (value: T) => unknown): Plain =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [name, convert(value)]));

/** Replaces secrets in every text, and doubles each `$`, which would begin a variable. */
function hide(value: unknown, forms: readonly string[]): unknown {
  if (typeof value === "string")
    return forms.reduce((text, form) => text.replaceAll(form, HIDDEN), value).replaceAll("$", "$$$$");
  if (Array.isArray(value)) return value.map((item) => hide(item, forms));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, hide(item, forms)]));
}

function namedVolumes({ services, volumes }: StackDefinition): string[] {
  const anonymous = Object.values(services).flatMap(({ mounts }) =>
    mounts.flatMap((mount) => (mount.type === "volume" && mount.anonymous === true ? [mount.source] : [])),
  );
  return volumes.filter((name) => !anonymous.includes(name));
}

export function resolvedModel(definition: StackDefinition): Record<string, unknown> {
  const forms = definition.secretValues.flatMap(secretEncodings).sort((one, other) => other.length - one.length);
  const model = compact({
    name: definition.name,
    services: mapValues(definition.services, serviceOf),
    networks: mapValues(definition.networks ?? {}, networkOf),
    volumes: Object.fromEntries(namedVolumes(definition).map((name) => [name, {}])),
    secrets: mapValues({ ...definition.binarySecrets, ...definition.secrets }, () => ({ environment: HIDDEN })),
    configs: mapValues(definition.configs ?? {}, (content) => ({ content: content.toString() })),
  });
  return hide(model, forms) as Record<string, unknown>;
}
