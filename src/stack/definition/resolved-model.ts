/** Converts a definition back to a Compose project, as `docker compose config` prints it, with secrets hidden. */
import { secretEncodings } from "../text/secret-encodings.js";
import type { Healthcheck, Mount, ServiceDefinition, ServiceHook, StackDefinition } from "./types.js";

const HIDDEN = "[hidden]";
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
    source: mount.type === "tmpfs" ? undefined : mount.source,
    target: mount.target,
    read_only: mount.type !== "tmpfs" && mount.readOnly,
    tmpfs: mount.type === "tmpfs" && mount.sizeBytes !== undefined ? { size: mount.sizeBytes } : undefined,
    volume: mount.type === "volume" && mount.subpath !== undefined ? { subpath: mount.subpath } : undefined,
  });

const hooksOf = (hooks: readonly ServiceHook[] | undefined): Plain[] | undefined =>
  hooks?.map(({ command, user, workingDir }) => compact({ command, user, working_dir: workingDir }));

function serviceOf(service: ServiceDefinition): Plain {
  const { build, healthcheck, restart, limits } = service;
  const secret = new Set(service.secretEnvironment);
  return compact({
    image: service.image,
    build:
      build &&
      compact({
        context: build.context,
        dockerfile: build.dockerfile,
        dockerfile_inline: build.dockerfileInline,
        target: build.target,
        args: { ...build.args },
        secrets: build.secrets,
      }),
    command: service.command,
    entrypoint: service.entrypoint,
    user: service.user,
    working_dir: service.workingDir,
    environment: Object.fromEntries(
      Object.entries(service.environment).map(([name, value]) => [name, secret.has(name) ? HIDDEN : value]),
    ),
    container_name: service.containerName,
    hostname: service.hostname,
    networks: service.networks && { ...service.networks },
    links: Object.entries(service.links ?? {}).map(([alias, name]) => `${name}:${alias}`),
    extra_hosts: service.extraHosts && { ...service.extraHosts },
    ports: service.ports.map(({ containerPort, hostPort, hostPortEnd, protocol }) =>
      compact({
        target: containerPort,
        published:
          hostPort === undefined ? undefined : hostPortEnd === undefined ? `${hostPort}` : `${hostPort}-${hostPortEnd}`,
        protocol,
      }),
    ),
    expose: service.expose.map(String),
    depends_on: { ...service.dependsOn },
    healthcheck:
      healthcheck &&
      compact({
        test: testOf(healthcheck),
        interval: seconds(healthcheck.intervalMs),
        timeout: seconds(healthcheck.timeoutMs),
        retries: healthcheck.retries,
        start_period: seconds(healthcheck.startPeriodMs),
      }),
    restart:
      restart.policy === "no"
        ? undefined
        : `${restart.policy}${restart.maxRetries === undefined ? "" : `:${restart.maxRetries}`}`,
    volumes: service.mounts.map(mountOf),
    cpus: limits.cpus,
    mem_limit: limits.memory_mb === undefined ? undefined : Math.round(limits.memory_mb * 1_048_576),
    pids_limit: limits.pids,
    stop_signal: service.stopSignal === "SIGTERM" ? undefined : service.stopSignal,
    stop_grace_period: service.stopGracePeriodMs === 10_000 ? undefined : seconds(service.stopGracePeriodMs),
    read_only: service.readOnly,
    init: service.init,
    labels: { ...service.labels },
    profiles: service.profiles,
    secrets: service.secrets.map((file) => ({ ...file })),
    configs: service.configs,
    post_start: hooksOf(service.postStart),
    pre_stop: hooksOf(service.preStop),
    dns: service.dns,
    ulimits: service.ulimits && { ...service.ulimits },
    shm_size: service.shmSizeBytes,
    sysctls: service.sysctls && { ...service.sysctls },
    tty: service.tty,
    stdin_open: service.stdinOpen,
    platform: service.platform,
    pull_policy: service.pullPolicy,
    annotations: service.annotations && { ...service.annotations },
    scale: service.replicas,
  });
}

/** Replaces secrets in every text. */
function hide(value: unknown, forms: readonly string[]): unknown {
  if (typeof value === "string") return forms.reduce((text, form) => text.replaceAll(form, HIDDEN), value);
  if (Array.isArray(value)) return value.map((item) => hide(item, forms));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, hide(item, forms)]));
}

export function resolvedModel(definition: StackDefinition): Record<string, unknown> {
  const forms = definition.secretValues.flatMap(secretEncodings).sort((one, other) => other.length - one.length);
  const model = compact({
    name: definition.name,
    services: Object.fromEntries(
      Object.entries(definition.services).map(([name, service]) => [name, serviceOf(service)]),
    ),
    networks: { ...definition.networks },
    volumes: Object.fromEntries(definition.volumes.map((name) => [name, {}])),
    secrets: Object.fromEntries(Object.keys(definition.secrets).map((name) => [name, { environment: HIDDEN }])),
  });
  return hide(model, forms) as Record<string, unknown>;
}
