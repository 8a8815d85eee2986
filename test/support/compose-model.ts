/**
 * Brings stackwarden's and compose-go's models of a project into one form, to compare them field by field. Omits what
 * policy changes (docs/COMPOSE.md lists it).
 */

import type { ServiceDefinition, StackDefinition } from "../../src/stack/definition/types.js";
import { realPath } from "../../src/system/real-path.js";

// biome-ignore lint/suspicious/noExplicitAny: the reference's model has no types here.
type Any = any;
type Plain = Record<string, unknown>;

const HARMLESS = new Set(["/etc/localtime", "/etc/timezone", "/usr/share/zoneinfo"]);

/** Omits absent, empty and false values and sorts keys, so that equivalent models are equal. */
function compact(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(compact);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value)
    .map(([key, one]) => [key, compact(one)] as const)
    .filter(([, one]) => {
      if (one === undefined || one === null || one === false) return false;
      return typeof one !== "object" || Object.keys(one as object).length > 0;
    })
    .sort(([one], [other]) => (one < other ? -1 : 1));
  return Object.fromEntries(entries);
}

/** Fields in which an empty value differs from an absent one. */
const keep = (command: string[] | null | undefined): string | undefined =>
  command === null || command === undefined ? undefined : JSON.stringify(command);

const round = (value: number | undefined): number | undefined =>
  value === undefined || value === 0 ? undefined : Math.round(value * 10_000) / 10_000;

const milliseconds = (text: string | undefined): number | undefined => {
  if (text === undefined) return undefined;
  let total = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(h|ms|m|s|µs|us|ns)/g))
    total +=
      Number(amount) *
      ({ h: 3_600_000, m: 60_000, s: 1000, ms: 1, µs: 0.001, us: 0.001, ns: 0.000_001 }[unit as "h"] ?? 0);
  return Math.round(total);
};

function ourService(service: ServiceDefinition): Plain {
  const { builtBy, healthcheck, healthTimings, limits, reservations } = service;
  // compose-go's model has the build where the file has it.
  const build = builtBy === undefined ? service.build : undefined;
  const test = healthcheck?.command ?? healthcheck?.test;
  return {
    image: service.image,
    build: build && {
      context: build.context,
      dockerfile: build.dockerfile ?? (build.dockerfileInline === undefined ? "Dockerfile" : undefined),
      inline: build.dockerfileInline,
      target: build.target,
      shm: build.shmSizeBytes,
      extra_hosts: Object.entries(build.extraHosts ?? {})
        .flatMap(([name, addresses]) => addresses.map((address) => `${name}=${address}`))
        .sort(),
      args: { ...build.args },
    },
    command: keep(service.command),
    entrypoint: keep(service.entrypoint),
    environment: JSON.stringify(Object.entries(service.environment).sort()),
    user: service.user,
    working_dir: service.workingDir,
    ports: service.ports
      .map(({ containerPort, hostPort, hostPortEnd, protocol }) =>
        [hostPort ?? "", hostPortEnd ?? "", containerPort, protocol].join(":"),
      )
      .sort(),
    expose: [
      ...service.expose.map((port) => `${port}/tcp`),
      ...(service.exposeUdp ?? []).map((port) => `${port}/udp`),
    ].sort(),
    depends_on: service.dependsOn,
    healthcheck:
      test === undefined
        ? undefined
        : {
            test:
              test.kind === "none"
                ? ["NONE"]
                : test.kind === "cmd"
                  ? ["CMD", ...test.argv]
                  : test.kind === "cmd-shell"
                    ? ["CMD-SHELL", test.command]
                    : ["other"],
            ...(test.kind === "none"
              ? {}
              : {
                  interval: healthcheck?.intervalMs,
                  timeout: healthcheck?.timeoutMs,
                  retries: healthcheck?.retries,
                  start: healthcheck?.startPeriodMs,
                }),
          },
    timings: healthTimings && { interval: healthTimings.intervalMs, retries: healthTimings.retries },
    restart:
      service.restart.policy === "no" ? undefined : `${service.restart.policy}:${service.restart.maxRetries ?? ""}`,
    mounts: service.mounts
      .map((mount) =>
        [
          mount.type,
          mount.type === "tmpfs" || (mount.type === "volume" && mount.anonymous) ? "" : mount.source,
          mount.target,
          mount.type !== "tmpfs" && mount.readOnly,
          mount.type === "volume" ? (mount.subpath ?? "") : "",
        ].join(" "),
      )
      .sort(),
    limits: [round(limits.cpus), round(limits.memory_mb), limits.pids].join(" "),
    reservations: [round(reservations.cpus), round(reservations.memory_mb)].join(" "),
    stop_signal: service.stopSignal.replace(/^SIG/, ""),
    grace: service.stopGracePeriodMs,
    read_only: service.readOnly,
    init: service.init,
    labels: { ...service.labels },
    annotations: { ...service.annotations },
    profiles: service.profiles,
    secrets: service.secrets
      .map(({ source, target }) => `${source} ${target.startsWith("/") ? target : `/run/secrets/${target}`}`)
      .sort(),
    configs: (service.configs ?? []).map(({ source, target }) => `${source} ${target}`).sort(),
    container_name: service.containerName,
    hostname: service.hostname,
    networks: Object.fromEntries(
      Object.entries(service.networkMode === "none" ? {} : (service.networks ?? { default: { aliases: [] } })).map(
        ([name, { aliases }]) => [name, { name, aliases }],
      ),
    ),
    extra_hosts: Object.entries(service.extraHosts ?? {})
      .flatMap(([name, addresses]) => addresses.map((address) => `${name}=${address}`))
      .sort(),
    dns: service.dns,
    ulimits: service.ulimits,
    shm: service.shmSizeBytes,
    sysctls: service.sysctls,
    tty: service.tty,
    stdin_open: service.stdinOpen,
    platform: service.platform,
    pull_policy: service.pullPolicy,
    replicas: service.replicas,
  };
}

/** A dependency that is neither required nor active, or on a service of a provider, is dropped. */
function theirDependencies(service: Any, project: Any): Plain {
  const kept = Object.entries(service.depends_on ?? {}).filter(
    ([name, value]: [string, Any]) =>
      project.services[name]?.provider === undefined && (value.required || project.services[name] !== undefined),
  );
  return Object.fromEntries(
    kept.map(([name, value]: [string, Any]) => [
      name,
      { condition: value.condition, restart: value.restart ?? false, required: value.required ?? false },
    ]),
  );
}

function theirHealthcheck(check: Any): { healthcheck?: unknown; timings?: unknown } {
  if (check == null) return {};
  const interval = milliseconds(check.interval) || 30_000;
  const retries = check.retries || 3;
  if (check.disable) return { healthcheck: { test: ["NONE"] } };
  if (!check.test || check.test.length === 0) return { timings: { interval, retries } };
  if (check.test[0] === "NONE") return { healthcheck: { test: ["NONE"] } };
  return {
    healthcheck: {
      test: check.test,
      interval: Math.max(100, interval),
      timeout: milliseconds(check.timeout) || 30_000,
      retries,
      start: milliseconds(check.start_period) ?? 0,
    },
  };
}

function theirMounts(service: Any, project: Any): string[] {
  const mounts = (service.volumes ?? []).flatMap((mount: Any) => {
    const { type, source = "", target, read_only: readOnly = false } = mount;
    if (type === "bind" && HARMLESS.has(source)) return [];
    if (type === "image" || type === "cluster") return [];
    const { driver = "local", driver_opts: options } = project.volumes?.[source] ?? {};
    if (type === "volume" && driver === "local" && options?.device && /(?:^|,)r?bind(?:,|$)/.test(options.o ?? ""))
      return [["bind", realPath(options.device), target, readOnly, ""].join(" ")];
    const from = type === "tmpfs" ? "" : type === "bind" ? realPath(source) : source;
    return [[type, from, target.replace(/(?<=.)\/$/, ""), readOnly, mount.volume?.subpath ?? ""].join(" ")];
  });
  const temporary = (service.tmpfs ?? []).map((text: string) =>
    ["tmpfs", "", text.split(":")[0]?.replace(/(?<=.)\/$/, ""), false, ""].join(" "),
  );
  return [...mounts, ...temporary].sort();
}

const theirPorts = (service: Any): string[] =>
  [
    ...new Set<string>(
      (service.ports ?? []).map(({ target, published = "", protocol = "tcp" }: Any) => {
        const [first, last = ""] = String(published).split("-");
        return [first === "0" ? "" : first, last, target, protocol].join(":");
      }),
    ),
  ].sort();

const megabytes = (bytes: string | number | undefined): number | undefined =>
  bytes === undefined || Number(bytes) <= 0 ? undefined : round(Number(bytes) / 1_048_576);

function theirRestart(service: Any): string | undefined {
  const policy = service.deploy?.restart_policy;
  const text: string =
    service.restart ??
    (policy === undefined
      ? "no"
      : ["none", "no"].includes(policy.condition)
        ? "no"
        : policy.condition === "on-failure"
          ? `on-failure${policy.max_attempts ? `:${policy.max_attempts}` : ""}`
          : policy.condition === "unless-stopped"
            ? "unless-stopped"
            : "always");
  if (text === "no" || text === "") return undefined;
  const [name, retries = ""] = text.split(":");
  return `${name}:${retries}`;
}

function theirService(service: Any, project: Any): Plain {
  const { build } = service;
  const resources = service.deploy?.resources;
  const quota = service.cpu_quota > 0 ? service.cpu_quota / (service.cpu_period || 100_000) : undefined;
  return {
    image: service.image,
    build: build?.context && {
      context: realPath(build.context),
      // The empty text of an unset variable is the default too.
      dockerfile: build.dockerfile || (build.dockerfile_inline === undefined ? "Dockerfile" : undefined),
      inline: build.dockerfile_inline,
      target: build.target,
      shm: build.shm_size === undefined ? undefined : Number(build.shm_size) || undefined,
      extra_hosts: [...(build.extra_hosts ?? [])].sort(),
      args: Object.fromEntries(Object.entries(build.args ?? {}).filter(([, value]) => value !== null)),
    },
    command: keep(service.command),
    entrypoint: keep(service.entrypoint),
    environment: JSON.stringify(
      Object.entries(service.environment ?? {})
        .filter(([, value]) => value !== null)
        .sort(),
    ),
    user: service.user,
    working_dir: service.working_dir,
    ports: theirPorts(service),
    expose: (service.expose ?? [])
      .flatMap((text: string) => {
        const [ports = "", protocol = "tcp"] = text.split("/");
        const [first = 0, last = first] = ports.split("-").map(Number);
        return Array.from({ length: last - first + 1 }, (_, at) => `${first + at}/${protocol}`);
      })
      .sort()
      .filter((one: string, at: number, all: string[]) => one !== all[at - 1]),
    depends_on: theirDependencies(service, project),
    ...theirHealthcheck(service.healthcheck),
    restart: theirRestart(service),
    mounts: theirMounts(service, project),
    limits: [
      round(Number(service.cpus ?? resources?.limits?.cpus ?? quota ?? 0)),
      megabytes(service.mem_limit ?? resources?.limits?.memory),
      [service.pids_limit, resources?.limits?.pids].find((one) => one > 0),
    ].join(" "),
    reservations: [
      round(Number(resources?.reservations?.cpus ?? 0)),
      megabytes(service.mem_reservation ?? resources?.reservations?.memory),
    ].join(" "),
    stop_signal: (service.stop_signal ?? "SIGTERM").replace(/^SIG/, ""),
    grace: milliseconds(service.stop_grace_period) ?? 10_000,
    read_only: service.read_only,
    init: service.init,
    labels: service.labels,
    annotations: service.annotations,
    profiles: service.profiles,
    secrets: (service.secrets ?? [])
      .map(
        ({ source, target = source }: Any) => `${source} ${target.startsWith("/") ? target : `/run/secrets/${target}`}`,
      )
      .sort(),
    configs: (service.configs ?? [])
      .map(({ source, target = source }: Any) => `${source} ${target.startsWith("/") ? target : `/${target}`}`)
      .sort(),
    container_name: service.container_name,
    hostname: service.hostname,
    networks: Object.fromEntries(
      Object.entries(
        service.networks ??
          (service.network_mode === undefined ? {} : service.network_mode === "none" ? {} : { default: null }),
      ).map(([name, value]: [string, Any]) => [name, { name, aliases: value?.aliases ?? [] }]),
    ),
    extra_hosts: [...(service.extra_hosts ?? [])].sort(),
    dns: service.dns,
    ulimits: Object.fromEntries(
      Object.entries(service.ulimits ?? {}).map(([name, value]: [string, Any]) => [
        name,
        typeof value === "number"
          ? { soft: value, hard: value }
          : { soft: value.soft ?? value.single ?? 0, hard: value.hard ?? value.single ?? 0 },
      ]),
    ),
    shm: service.shm_size === undefined ? undefined : Number(service.shm_size) || undefined,
    sysctls: service.sysctls,
    tty: service.tty,
    stdin_open: service.stdin_open,
    platform: service.platform,
    pull_policy: service.pull_policy,
    replicas: ((replicas: number) => (replicas === 1 ? undefined : replicas))(
      service.scale ?? service.deploy?.replicas ?? 1,
    ),
  };
}

/** Differences between two models, one in each line. Empty if they are equal. */
export function modelDifferences(ours: StackDefinition, theirs: Any): string[] {
  const lines: string[] = [];
  const started = (service: Any): boolean =>
    (service.scale ?? service.deploy?.replicas) !== 0 && !(service.provider && !service.image);
  const names = Object.keys(theirs.services ?? {}).filter((name) => started(theirs.services[name]));
  for (const name of new Set([...names, ...Object.keys(ours.services)])) {
    const own = ours.services[name];
    if (own === undefined || !names.includes(name)) {
      lines.push(`${name}: ${own === undefined ? "only compose-go has it" : "only stackwarden has it"}`);
      continue;
    }
    // An empty context is the project's folder.
    const { build } = theirs.services[name];
    if (build && !build.context) build.context = own.build?.context;
    const [left, right] = [
      compact(ourService(own)) as Plain,
      compact(theirService(theirs.services[name], theirs)) as Plain,
    ];
    for (const field of new Set([...Object.keys(left), ...Object.keys(right)])) {
      const [one, other] = [left[field], right[field]].map((value) => JSON.stringify(value));
      if (one !== other) lines.push(`${name}.${field}: ours ${one}, compose-go ${other}`);
    }
  }
  return lines;
}
