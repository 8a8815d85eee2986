import { createRequire } from 'module'; const require = createRequire(import.meta.url);

// src/system/real-path.ts
import { realpathSync } from "node:fs";
import { join, resolve } from "node:path";
function realPath(path) {
  try {
    return realpathSync(path);
  } catch {
    const parent = resolve(path, "..");
    return parent === path ? path : join(realPath(parent), path.slice(parent.length));
  }
}

// test/support/compose-model.ts
var HARMLESS = /* @__PURE__ */ new Set(["/etc/localtime", "/etc/timezone", "/usr/share/zoneinfo"]);
function compact(value) {
  if (Array.isArray(value)) return value.map(compact);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).map(([key, one]) => [key, compact(one)]).filter(([, one]) => {
    if (one === void 0 || one === null || one === false) return false;
    return typeof one !== "object" || Object.keys(one).length > 0;
  }).sort(([one], [other]) => one < other ? -1 : 1);
  return Object.fromEntries(entries);
}
var keep = (command) => command === null || command === void 0 ? void 0 : JSON.stringify(command);
var round = (value) => value === void 0 || value === 0 ? void 0 : Math.round(value * 1e4) / 1e4;
var milliseconds = (text) => {
  if (text === void 0) return void 0;
  let total = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(h|ms|m|s|µs|us|ns)/g))
    total += Number(amount) * ({ h: 36e5, m: 6e4, s: 1e3, ms: 1, \u00B5s: 1e-3, us: 1e-3, ns: 1e-6 }[unit] ?? 0);
  return Math.round(total);
};
function ourService(service) {
  const { build, healthcheck, healthTimings, limits, reservations } = service;
  const test = healthcheck?.command ?? healthcheck?.test;
  return {
    image: service.image,
    build: build && {
      context: build.context,
      dockerfile: build.dockerfile ?? (build.dockerfileInline === void 0 ? "Dockerfile" : void 0),
      inline: build.dockerfileInline,
      target: build.target,
      args: { ...build.args }
    },
    command: keep(service.command),
    entrypoint: keep(service.entrypoint),
    environment: JSON.stringify(Object.entries(service.environment).sort()),
    user: service.user,
    working_dir: service.workingDir,
    ports: service.ports.map(
      ({ containerPort, hostPort, hostPortEnd, protocol }) => [hostPort ?? "", hostPortEnd ?? "", containerPort, protocol].join(":")
    ).sort(),
    expose: [...service.expose.map((port) => `${port}/tcp`), ...(service.exposeUdp ?? []).map((port) => `${port}/udp`)].sort(),
    depends_on: service.dependsOn,
    healthcheck: test === void 0 ? void 0 : {
      test: test.kind === "none" ? ["NONE"] : test.kind === "cmd" ? ["CMD", ...test.argv] : test.kind === "cmd-shell" ? ["CMD-SHELL", test.command] : ["other"],
      ...test.kind === "none" ? {} : {
        interval: healthcheck?.intervalMs,
        timeout: healthcheck?.timeoutMs,
        retries: healthcheck?.retries,
        start: healthcheck?.startPeriodMs
      }
    },
    timings: healthTimings && { interval: healthTimings.intervalMs, retries: healthTimings.retries },
    restart: service.restart.policy === "no" ? void 0 : `${service.restart.policy}:${service.restart.maxRetries ?? ""}`,
    mounts: service.mounts.map(
      (mount) => [
        mount.type,
        mount.type === "tmpfs" || mount.type === "volume" && mount.anonymous ? "" : mount.source,
        mount.target,
        mount.type !== "tmpfs" && mount.readOnly,
        mount.type === "volume" ? mount.subpath ?? "" : ""
      ].join(" ")
    ).sort(),
    limits: [round(limits.cpus), round(limits.memory_mb), limits.pids].join(" "),
    reservations: [round(reservations.cpus), round(reservations.memory_mb)].join(" "),
    stop_signal: service.stopSignal.replace(/^SIG/, ""),
    grace: service.stopGracePeriodMs,
    read_only: service.readOnly,
    init: service.init,
    labels: { ...service.labels },
    annotations: { ...service.annotations },
    profiles: service.profiles,
    secrets: service.secrets.map(({ source, target }) => `${source} ${target.startsWith("/") ? target : `/run/secrets/${target}`}`).sort(),
    configs: (service.configs ?? []).map(({ source, target }) => `${source} ${target}`).sort(),
    container_name: service.containerName,
    hostname: service.hostname,
    networks: Object.fromEntries(
      Object.entries(service.networkMode === "none" ? {} : service.networks ?? { default: { aliases: [] } }).map(
        ([name, { aliases }]) => [name, { name, aliases }]
      )
    ),
    extra_hosts: service.extraHosts,
    dns: service.dns,
    ulimits: service.ulimits,
    shm: service.shmSizeBytes,
    sysctls: service.sysctls,
    tty: service.tty,
    stdin_open: service.stdinOpen,
    platform: service.platform,
    pull_policy: service.pullPolicy,
    replicas: service.replicas
  };
}
function theirDependencies(service) {
  return Object.fromEntries(
    Object.entries(service.depends_on ?? {}).map(([name, value]) => [
      name,
      { condition: value.condition, restart: value.restart ?? false, required: value.required ?? false }
    ])
  );
}
function theirHealthcheck(check) {
  if (check == null) return {};
  const interval = milliseconds(check.interval) || 3e4;
  const retries = check.retries || 3;
  if (check.disable) return { healthcheck: { test: ["NONE"] } };
  if (!check.test || check.test.length === 0) return { timings: { interval, retries } };
  if (check.test[0] === "NONE") return { healthcheck: { test: ["NONE"] } };
  return {
    healthcheck: {
      test: check.test,
      interval: Math.max(100, interval),
      timeout: milliseconds(check.timeout) || 3e4,
      retries,
      start: milliseconds(check.start_period) ?? 0
    }
  };
}
function theirMounts(service, project) {
  const mounts = (service.volumes ?? []).flatMap((mount) => {
    const { type, source = "", target, read_only: readOnly = false } = mount;
    if (type === "bind" && HARMLESS.has(source)) return [];
    if (type === "image" || type === "cluster") return [];
    const options = project.volumes?.[source]?.driver_opts;
    if (type === "volume" && options?.device && /(?:^|,)r?bind(?:,|$)/.test(options.o ?? ""))
      return [["bind", realPath(options.device), target, readOnly, ""].join(" ")];
    const from = type === "tmpfs" ? "" : type === "bind" ? realPath(source) : source;
    return [[type, from, target.replace(/(?<=.)\/$/, ""), readOnly, mount.volume?.subpath ?? ""].join(" ")];
  });
  const temporary = (service.tmpfs ?? []).map(
    (text) => ["tmpfs", "", text.split(":")[0]?.replace(/(?<=.)\/$/, ""), false, ""].join(" ")
  );
  return [...mounts, ...temporary].sort();
}
var theirPorts = (service) => [
  ...new Set(
    (service.ports ?? []).map(({ target, published = "", protocol = "tcp" }) => {
      const [first, last = ""] = String(published).split("-");
      return [first === "0" ? "" : first, last, target, protocol].join(":");
    })
  )
].sort();
var megabytes = (bytes) => bytes === void 0 || Number(bytes) <= 0 ? void 0 : round(Number(bytes) / 1048576);
function theirRestart(service) {
  const policy = service.deploy?.restart_policy;
  const text = service.restart ?? (policy === void 0 ? "no" : policy.condition === "none" ? "no" : policy.condition === "on-failure" ? `on-failure${policy.max_attempts ? `:${policy.max_attempts}` : ""}` : "always");
  if (text === "no" || text === "") return void 0;
  const [name, retries = ""] = text.split(":");
  return `${name}:${retries}`;
}
function theirService(service, project) {
  const { build } = service;
  const resources = service.deploy?.resources;
  const quota = service.cpu_quota > 0 ? service.cpu_quota / (service.cpu_period || 1e5) : void 0;
  return {
    image: service.image,
    build: build && {
      context: realPath(build.context),
      dockerfile: build.dockerfile,
      inline: build.dockerfile_inline,
      target: build.target,
      args: Object.fromEntries(Object.entries(build.args ?? {}).filter(([, value]) => value !== null))
    },
    command: keep(service.command),
    entrypoint: keep(service.entrypoint),
    environment: JSON.stringify(
      Object.entries(service.environment ?? {}).filter(([, value]) => value !== null).sort()
    ),
    user: service.user,
    working_dir: service.working_dir,
    ports: theirPorts(service),
    expose: (service.expose ?? []).flatMap((text) => {
      const [ports = "", protocol = "tcp"] = text.split("/");
      const [first = 0, last = first] = ports.split("-").map(Number);
      return Array.from({ length: last - first + 1 }, (_, at) => `${first + at}/${protocol}`);
    }).sort().filter((one, at, all) => one !== all[at - 1]),
    depends_on: theirDependencies(service),
    ...theirHealthcheck(service.healthcheck),
    restart: theirRestart(service),
    mounts: theirMounts(service, project),
    limits: [
      round(Number(service.cpus ?? resources?.limits?.cpus ?? quota ?? 0)),
      megabytes(service.mem_limit ?? resources?.limits?.memory),
      [service.pids_limit, resources?.limits?.pids].find((one) => one > 0)
    ].join(" "),
    reservations: [
      round(Number(resources?.reservations?.cpus ?? 0)),
      megabytes(service.mem_reservation ?? resources?.reservations?.memory)
    ].join(" "),
    stop_signal: (service.stop_signal ?? "SIGTERM").replace(/^SIG/, ""),
    grace: milliseconds(service.stop_grace_period) ?? 1e4,
    read_only: service.read_only,
    init: service.init,
    labels: service.labels,
    annotations: service.annotations,
    profiles: service.profiles,
    secrets: (service.secrets ?? []).map(({ source, target = source }) => `${source} ${target.startsWith("/") ? target : `/run/secrets/${target}`}`).sort(),
    configs: (service.configs ?? []).map(({ source, target = source }) => `${source} ${target.startsWith("/") ? target : `/${target}`}`).sort(),
    container_name: service.container_name,
    hostname: service.hostname,
    networks: Object.fromEntries(
      Object.entries(service.networks ?? (service.network_mode === void 0 ? {} : service.network_mode === "none" ? {} : { default: null })).map(
        ([name, value]) => [name, { name, aliases: value?.aliases ?? [] }]
      )
    ),
    extra_hosts: service.extra_hosts,
    dns: service.dns,
    ulimits: Object.fromEntries(
      Object.entries(service.ulimits ?? {}).map(([name, value]) => [
        name,
        typeof value === "number" ? { soft: value, hard: value } : { soft: value.soft ?? value.single ?? 0, hard: value.hard ?? value.single ?? 0 }
      ])
    ),
    shm: service.shm_size === void 0 ? void 0 : Number(service.shm_size) || void 0,
    sysctls: service.sysctls,
    tty: service.tty,
    stdin_open: service.stdin_open,
    platform: service.platform,
    pull_policy: service.pull_policy,
    replicas: /* @__PURE__ */ ((replicas) => replicas === 1 ? void 0 : replicas)(service.scale ?? service.deploy?.replicas ?? 1)
  };
}
function modelDifferences(ours, theirs) {
  const lines = [];
  const started = (service) => (service.scale ?? service.deploy?.replicas) !== 0 && !(service.provider && !service.image);
  const names = Object.keys(theirs.services ?? {}).filter((name) => started(theirs.services[name]));
  for (const name of /* @__PURE__ */ new Set([...names, ...Object.keys(ours.services)])) {
    const own = ours.services[name];
    if (own === void 0 || !names.includes(name)) {
      lines.push(`${name}: ${own === void 0 ? "only compose-go has it" : "only stackwarden has it"}`);
      continue;
    }
    const [left, right] = [compact(ourService(own)), compact(theirService(theirs.services[name], theirs))];
    for (const field of /* @__PURE__ */ new Set([...Object.keys(left), ...Object.keys(right)])) {
      const [one, other] = [left[field], right[field]].map((value) => JSON.stringify(value));
      if (one !== other) lines.push(`${name}.${field}: ours ${one}, compose-go ${other}`);
    }
  }
  return lines;
}
export {
  modelDifferences
};
