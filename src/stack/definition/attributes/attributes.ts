/**
 * Every attribute of the Compose Specification and its effect on each runtime. The reader, the notes of a start,
 * docs/COMPOSE.md and the test that walks the official schema use this table.
 *
 * A path leaves out the names that users choose: `services.environment` is `services.<name>.environment`. A row also
 * applies to every path below it that has no row.
 */
import type { RuntimeName } from "../../runtime.js";

/**
 * `works`: fully supported. `note`: accepted, with a sentence that describes the missing effect. `policy`: refused, at
 * least for some values.
 */
export type Effect = "works" | { note: string } | { policy: string };

export interface Attribute {
  readonly effects: Readonly<Record<RuntimeName, Effect>>;
  /** The field of the service definition that a runtime must apply for the row to be correct. */
  readonly field?: string;
}

const row = (dagger: Effect, docker: Effect, local: Effect, field?: string): Attribute => ({
  effects: { dagger, docker, local },
  ...(field === undefined ? {} : { field }),
});
const works = (field?: string): Attribute => row("works", "works", "works", field);
const noted = (note: string): Attribute => row({ note }, { note }, { note });
const refused = (policy: string): Attribute => row({ policy }, { policy }, { policy });
/** Works on the docker runtime only. */
const docker = (note: string, field?: string): Attribute => row({ note }, "works", { note }, field);

/** Works on both container runtimes. */
const containers = (note: string, field?: string): Attribute => row("works", "works", { note }, field);

const DEVICE = "It would give the service the machine's devices.";
const SHARED = "It would share a namespace with the machine or with another service.";
const SWARM = "It belongs to a cluster (Swarm); this stack runs on one machine.";
const OWN_NETWORK = "The runtime has one private network for the stack, in which services reach each other by name.";
const ONE_NAME = "Services reach each other by service name only.";
const PROCESS = "The local runtime runs processes of this machine, not containers.";
const BUILDER = "The runtime's builder decides.";
const RESERVED = "One machine runs the stack: nothing is reserved for one service.";
const ONE_INSTANCE = "One instance runs: processes of this machine share its ports.";
const HOOK_USER = "The hook runs as the service's user.";
const HOST_LIMIT = "Stackwarden limits CPU, memory and processes.";

export const ATTRIBUTES: Readonly<Record<string, Attribute>> = {
  version: noted("`version` is obsolete in compose files."),
  name: works(),
  include: works(),
  models: noted("Stackwarden runs no model servers."),
  jobs: noted("Jobs are not started; write a service with `profiles` for what runs once."),

  "services.annotations": noted(
    "Container runtimes read annotations as settings, also of limits and devices; use `labels` for descriptions.",
  ),
  "services.attach": noted("Stackwarden stores the output of every service."),
  "services.blkio_config": noted(HOST_LIMIT),
  "services.build": works("build"),
  "services.build.context": works("build"),
  "services.build.dockerfile": works("build"),
  "services.build.dockerfile_inline": works("dockerfileInline"),
  "services.build.target": works("target"),
  "services.build.args": works("args"),
  "services.build.labels": docker("Nothing reads the labels of a built image here.", "labels"),
  "services.build.additional_contexts": noted(
    "The builder gets only `context`; a Dockerfile that uses another context fails.",
  ),
  "services.build.cache_from": noted(BUILDER),
  "services.build.cache_to": noted(BUILDER),
  "services.build.no_cache": docker(BUILDER, "noCache"),
  "services.build.no_cache_filter": noted(BUILDER),
  "services.build.pull": docker(BUILDER, "pull"),
  "services.build.network": noted(BUILDER),
  "services.build.provenance": noted(BUILDER),
  "services.build.sbom": noted(BUILDER),
  "services.build.platforms": noted("The image is built for this machine's platform."),
  "services.build.shm_size": docker(BUILDER, "shmSizeBytes"),
  "services.build.extra_hosts": docker(BUILDER, "extraHosts"),
  "services.build.isolation": noted("It exists on Windows only."),
  "services.build.tags": noted("Only this stack uses the image, so it gets no further tags."),
  "services.build.ulimits": noted(BUILDER),
  "services.build.secrets": docker("The builder gets no secrets; a RUN that needs one fails.", "secrets"),
  "services.build.ssh": refused("It would give the build the user's SSH keys."),
  "services.build.privileged": refused("It would give the build the whole machine."),
  "services.build.entitlements": refused("It would give the build rights of the machine."),

  "services.cap_add": refused(
    "It adds kernel capabilities. Docker's default ones are accepted without effect: services run without any.",
  ),
  "services.cap_drop": works(),
  "services.cgroup": refused(SHARED),
  "services.cgroup_parent": refused("It would leave the stack's control group."),
  "services.command": works("command"),
  "services.configs": row("works", "works", { note: PROCESS }, "configs"),
  "services.container_name": row({ note: ONE_NAME }, "works", "works", "containerName"),
  "services.cpu_count": noted("It exists on Windows only."),
  "services.cpu_percent": noted("It exists on Windows only."),
  "services.cpu_period": works(),
  "services.cpu_quota": works(),
  "services.cpu_rt_period": noted(HOST_LIMIT),
  "services.cpu_rt_runtime": noted(HOST_LIMIT),
  "services.cpu_shares": docker("`cpus` limits the service here.", "cpuShares"),
  "services.cpus": works("limits"),
  "services.cpuset": docker("The service may run on every CPU; `cpus` limits it.", "cpuset"),
  "services.credential_spec": noted("It exists on Windows only."),
  "services.depends_on": works("dependsOn"),
  "services.deploy.mode": noted(SWARM),
  "services.deploy.endpoint_mode": noted(SWARM),
  "services.deploy.labels": noted(SWARM),
  "services.deploy.placement": noted(SWARM),
  "services.deploy.replicas": containers(ONE_INSTANCE),
  "services.deploy.resources": works("limits"),
  "services.deploy.resources.limits": works("limits"),
  "services.deploy.resources.reservations": noted(RESERVED),
  "services.deploy.resources.reservations.devices": refused(DEVICE),
  "services.deploy.resources.reservations.generic_resources": noted(SWARM),
  "services.deploy.restart_policy": works("restart"),
  "services.deploy.restart_policy.delay": noted("Restarts wait 0.5 s, then twice as long each time, up to 30 s."),
  "services.deploy.restart_policy.window": noted("An instance that ran for 60 s resets the count of restarts."),
  "services.deploy.rollback_config": noted(SWARM),
  "services.deploy.update_config": noted(SWARM),
  "services.develop": works(),
  "services.develop.watch.exec": noted("The service is restarted instead."),
  "services.develop.watch.initial_sync": noted("A started service has the project's current source."),
  "services.device_cgroup_rules": refused(DEVICE),
  "services.devices": refused(DEVICE),
  "services.dns": docker(OWN_NETWORK, "dns"),
  "services.dns_opt": docker(OWN_NETWORK, "dnsOptions"),
  "services.dns_search": docker(OWN_NETWORK, "dnsSearch"),
  "services.domainname": docker(OWN_NETWORK, "domainName"),
  "services.entrypoint": works("entrypoint"),
  "services.env_file": works("environment"),
  "services.environment": works("environment"),
  "services.expose": works("expose"),
  "services.extends": works(),
  "services.external_links": refused("It reaches containers of other stacks."),
  "services.extra_hosts": docker(OWN_NETWORK, "extraHosts"),
  "services.gpus": refused(DEVICE),
  "services.group_add": docker("The service has only the group of its user.", "groupAdd"),
  "services.healthcheck": works("healthcheck"),
  "services.hostname": row(
    { note: ONE_NAME },
    "works",
    { note: "The host name is this machine's; other services reach it by that name." },
    "hostname",
  ),
  "services.image": works("image"),
  "services.init": row("works", "works", { note: "The server itself reaps the service's processes." }, "init"),
  "services.ipc": refused(SHARED),
  "services.isolation": noted("It exists on Windows only."),
  "services.label_file": docker("Nothing reads labels here.", "labels"),
  "services.labels": docker("Nothing reads labels here.", "labels"),
  "services.links": row({ note: ONE_NAME }, "works", "works", "links"),
  "services.logging": noted("Stackwarden stores the output of services."),
  "services.mac_address": noted("The runtime chooses hardware addresses."),
  "services.mem_limit": works("limits"),
  "services.mem_reservation": noted(RESERVED),
  "services.mem_swappiness": docker(HOST_LIMIT, "memorySwappiness"),
  "services.memswap_limit": noted("Memory limits apply without swap."),
  "services.models": noted("Stackwarden runs no model servers."),
  "services.network_mode": row(
    { policy: "`host`, `service:` and `container:` leave the stack's own network; `none` has no effect here." },
    { policy: "`host`, `service:` and `container:` leave the stack's own network; `none` works." },
    { policy: "`host`, `service:` and `container:` leave the stack's own network; `none` has no effect here." },
  ),
  "services.networks": docker(OWN_NETWORK, "networks"),
  "services.networks.aliases": row({ note: ONE_NAME }, "works", "works", "networks"),
  "services.networks.driver_opts": noted("The runtime's networks have no options."),
  "services.networks.gw_priority": noted("The runtime chooses the gateway."),
  "services.networks.interface_name": noted("The runtime names interfaces."),
  "services.networks.ipv4_address": docker(
    "The runtime chooses addresses; services reach each other by name.",
    "ipv4Address",
  ),
  "services.networks.ipv6_address": noted("The runtime chooses addresses; services reach each other by name."),
  "services.networks.link_local_ips": noted("The runtime chooses addresses; services reach each other by name."),
  "services.networks.mac_address": noted("The runtime chooses hardware addresses."),
  "services.networks.priority": noted("The order of networks has no effect."),
  "services.networks.use_service_name_alias": noted("Services always reach each other by name."),
  "services.oom_kill_disable": noted(
    "The kernel kills a service that exceeds its memory limit, so that the machine keeps memory for other programs.",
  ),
  "services.oom_score_adj": docker("The kernel chooses which process it kills.", "oomScoreAdj"),
  "services.pid": refused(SHARED),
  "services.pids_limit": works("limits"),
  "services.platform": docker("The service runs on this machine's platform.", "platform"),
  "services.ports": works("ports"),
  "services.ports.target": works("ports"),
  "services.ports.published": works("ports"),
  "services.ports.host_ip": noted("Ports are published on 127.0.0.1, whatever address the file names."),
  "services.ports.protocol": row(
    { note: "UDP ports are not published." },
    "works",
    { note: "UDP ports are not published." },
    "protocol",
  ),
  "services.ports.mode": noted(SWARM),
  "services.ports.name": noted("It only describes the port."),
  "services.ports.app_protocol": noted("It only describes the port."),
  "services.post_start": works("postStart"),
  "services.post_start.user": docker(HOOK_USER),
  "services.pre_start": noted("The hook does not run."),
  "services.pre_stop": works("preStop"),
  "services.pre_stop.user": docker(HOOK_USER),
  "services.privileged": refused("It gives the service the whole machine."),
  "services.profiles": works(),
  "services.provider": noted("Stackwarden starts no external programs for a service."),
  "services.pull_policy": docker("Images are pulled when they are missing.", "pullPolicy"),
  "services.pull_refresh_after": noted("`pull_policy` decides when an image is pulled."),
  "services.read_only": row(
    { note: "An engine of Dagger has no read-only root file systems." },
    "works",
    { note: PROCESS },
    "readOnly",
  ),
  "services.restart": works("restart"),
  "services.runtime": refused("It chooses another container runtime, which can have other isolation."),
  "services.scale": containers(ONE_INSTANCE),
  "services.secrets": row(
    "works",
    "works",
    { note: "The local runtime has no /run/secrets; give the secret as `environment`." },
    "secrets",
  ),
  "services.secrets.uid": docker("The file belongs to the service's user.", "uid"),
  "services.secrets.gid": docker("The file belongs to the service's user.", "gid"),
  "services.secrets.mode": docker("Only the service's user can read the file.", "mode"),
  "services.security_opt": refused("It weakens the isolation, unless it is `no-new-privileges`, which is always set."),
  "services.shm_size": docker("The runtime's default size applies.", "shmSizeBytes"),
  "services.stdin_open": docker("Services have no terminal.", "stdinOpen"),
  "services.stop_grace_period": works("stopGracePeriodMs"),
  "services.stop_signal": works("stopSignal"),
  "services.storage_opt": noted("The runtime decides how images are stored."),
  "services.sysctls": row(
    { policy: "Only parameters of the container's own namespaces are accepted; they have no effect on this runtime." },
    { policy: "Only parameters of the container's own namespaces work." },
    { policy: "Only parameters of the container's own namespaces are accepted; they have no effect on this runtime." },
  ),
  "services.tmpfs": works("mounts"),
  "services.tty": docker("Services have no terminal.", "tty"),
  "services.ulimits": docker("The machine's limits apply.", "ulimits"),
  "services.umask": noted("The image's umask applies."),
  "services.use_api_socket": refused("It reaches the container engine's socket."),
  "services.user": works("user"),
  "services.userns_mode": refused(SHARED),
  "services.uts": refused(SHARED),
  "services.volumes": works("mounts"),
  "services.volumes.consistency": noted("It exists on macOS only."),
  "services.volumes.bind.propagation": noted("Mounts are private to the service."),
  "services.volumes.bind.recursive": noted("Mounts are private to the service."),
  "services.volumes.bind.selinux": noted("The runtime labels mounts where the machine needs it."),
  "services.volumes.bind.create_host_path": containers("Services run in the project's own folder.", "createHostPath"),
  "services.volumes.volume.labels": noted("Volumes of the project have no labels."),
  "services.volumes.volume.nocopy": docker(
    "The runtime decides whether a new volume starts with the image's files.",
    "noCopy",
  ),
  "services.volumes.volume.subpath": docker("The whole volume is mounted.", "subpath"),
  "services.volumes.tmpfs.mode": docker("The runtime chooses the permissions.", "mode"),
  "services.volumes.image": noted("Images are not mounted as volumes."),
  "services.volumes_from": refused("It takes another container's volumes; mount the same named volume instead."),
  "services.working_dir": works("workingDir"),

  "networks.name": noted("Networks belong to the project and are named after it."),
  "networks.driver": noted("The runtime chooses the driver."),
  "networks.driver_opts": noted("The runtime's networks have no options."),
  "networks.ipam": docker("The runtime chooses addresses; services reach each other by name.", "ipam"),
  "networks.ipam.driver": noted("The runtime's own driver assigns addresses."),
  "networks.ipam.options": noted("The runtime's own driver assigns addresses."),
  "networks.external": noted("A network of the project takes the place of the external one."),
  "networks.internal": docker("Services can open connections to other networks.", "internal"),
  "networks.enable_ipv4": noted("The runtime chooses addresses."),
  "networks.enable_ipv6": noted("The runtime chooses addresses."),
  "networks.attachable": noted("Networks belong to the project."),
  "networks.labels": noted("Networks of the project have no labels."),

  "volumes.name": noted("Volumes belong to the project and are named after it."),
  "volumes.driver": noted("Volumes are kept on this machine, as with the driver `local`."),
  "volumes.driver_opts": noted(
    "Volumes are kept on this machine. A `device` that is bound (`o: bind`) is read as a bind mount.",
  ),
  "volumes.external": noted("A volume of the project takes the place of the external one; it starts empty."),
  "volumes.labels": noted("Volumes of the project have no labels."),

  "secrets.name": noted("Secrets belong to the project."),
  "secrets.environment": works(),
  "secrets.file": works(),
  "secrets.external": noted("Set the variable of the secret's name in .env: there is no store of external secrets."),
  "secrets.labels": noted("Secrets of the project have no labels."),
  "secrets.driver": noted(SWARM),
  "secrets.driver_opts": noted(SWARM),
  "secrets.template_driver": noted(SWARM),

  "configs.name": noted("Configs belong to the project."),
  "configs.content": works(),
  "configs.environment": works(),
  "configs.file": works(),
  "configs.external": noted("There is no store of external configs; the file is empty."),
  "configs.labels": noted("Configs of the project have no labels."),
  "configs.template_driver": noted(SWARM),
};

/** Paths that have a row below them. */
const ABOVE = new Set<string>();
for (const path of Object.keys(ATTRIBUTES))
  for (let at = path.lastIndexOf("."); at > 0; at = path.lastIndexOf(".", at - 1)) ABOVE.add(path.slice(0, at));

export const hasRowsBelow = (path: string): boolean => ABOVE.has(path);

/** Last segments of the paths directly below `path` that have a row, or have rows below them. */
export function keysBelow(path: string): string[] {
  const keys = new Set<string>();
  for (const one of [...Object.keys(ATTRIBUTES), ...ABOVE])
    if (one.startsWith(`${path}.`)) keys.add(one.slice(path.length + 1).split(".", 1)[0] as string);
  return [...keys];
}

/** The note of an attribute on a runtime; null when the attribute works or policy refuses it. */
export function noteOf(path: string, runtime: RuntimeName): string | null {
  const effect = ATTRIBUTES[path]?.effects[runtime];
  return typeof effect === "object" && "note" in effect ? effect.note : null;
}
