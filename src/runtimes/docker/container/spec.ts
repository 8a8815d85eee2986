/** The container configuration of one service, hardened regardless of the compose file. */
import type Docker from "dockerode";
import type { Limits, ServiceDefinition, StackDefinition } from "../../../stack/definition/types.js";
import { statBeneath } from "../../../system/read-regular-file.js";
import { withDefaults } from "../../shared/default-limits.js";
import { isRootUser } from "../../shared/image-user.js";
import { writableFolders } from "../../shared/official-images.js";
import type { EngineInfo } from "../engine/engine.js";
import type { Image } from "../image/image.js";
import { limitFields } from "../service/limits.js";
import type { ServiceVolume } from "../volumes/ensure.js";
import { containerSettings, hostSettings } from "./compose-settings.js";
import { pinnedBinds } from "./pinned-binds.js";
import type { SecretFile } from "./secret-files.js";
import type { UserIds } from "./user-ids.js";

export interface PortBinding {
  containerPort: number;
  protocol: "tcp" | "udp";
  /** Host port; 0 means any free port. */
  hostPort: number;
}

/** A container's attachment to one network of the engine. */
export interface ContainerNetwork {
  name: string;
  aliases: string[];
  /** Fixed IPv4 address. */
  address?: string | undefined;
}

export const endpointConfig = ({ aliases, address }: ContainerNetwork): Docker.EndpointSettings => ({
  Aliases: aliases,
  ...(address === undefined ? {} : { IPAMConfig: { IPv4Address: address } }),
});

export interface SpecOptions {
  name: string;
  service: ServiceDefinition;
  image: Image;
  user: string;
  /** The user's ids, when they are known. */
  owner?: UserIds | null;
  environment: string[];
  limits: Limits;
  labels: Record<string, string>;
  /** Empty: the container has no network. */
  networks: readonly ContainerNetwork[];
  ports: readonly PortBinding[];
  volumes: readonly ServiceVolume[];
  secrets: readonly SecretFile[];
  /** All services of the stack: their binds may lie in a folder that this service can change. */
  definition: Pick<StackDefinition, "services">;
  info: EngineInfo;
  /** The program gets a standard input, which is closed when its first reader disconnects. Default: none. */
  stdin?: boolean;
}

/** The engine keeps its own copy of the output, which is deleted with the container. */
const LOG = { Type: "json-file", Config: { "max-size": "20m", "max-file": "3" } };

type MountConfig = NonNullable<Docker.HostConfig["Mounts"]>;

function mounts(options: SpecOptions): MountConfig {
  const { service, volumes, secrets, definition, info } = options;
  const written = service.mounts.flatMap((mount) => (mount.type === "bind" ? [mount] : []));
  const targets = [...service.mounts, ...volumes, ...secrets].map(({ target }) => target);
  const pinned = pinnedBinds(
    service.mounts,
    definition,
    [...targets, ...Object.keys(temporary(options))],
    (source) => statBeneath(source, "/") !== undefined,
  ).map((one) => ({ ...one, readOnly: false }));
  const binds = [...written, ...pinned].map(({ source, target, readOnly }) => ({
    Type: "bind" as const,
    Source: source,
    Target: target,
    ReadOnly: readOnly,
  }));
  const named = volumes.map(({ name, target, readOnly, noCopy, subpath }) => ({
    Type: "volume" as const,
    Source: name,
    Target: target,
    ReadOnly: readOnly,
    ...(noCopy || (subpath !== undefined && info.subpaths)
      ? {
          VolumeOptions: {
            ...(noCopy ? { NoCopy: true } : {}),
            ...(subpath !== undefined && info.subpaths ? { Subpath: subpath } : {}),
          },
        }
      : {}),
  }));
  const files = secrets.map(({ source, target }) => ({
    Type: "bind" as const,
    Source: source,
    Target: target,
    ReadOnly: true,
  }));
  return [...binds, ...named, ...files] as unknown as MountConfig;
}

/** `mode` lets any user of the container write there. */
const OWN_TMPFS = "rw,nosuid,nodev,mode=1777";

function temporary({ service, user, owner, info }: SpecOptions): Record<string, string> {
  // Some runtimes (runc 1.1) give a temporary file system the owner and mode of the image's folder at its path, whatever `mode` says.
  const owned = owner && !info.podman && !isRootUser(user) ? [`uid=${owner.uid}`, `gid=${owner.gid}`] : [];
  const own = isRootUser(user)
    ? []
    : writableFolders(
        service.image,
        service.mounts.map(({ target }) => target),
      ).map((folder) => [folder, [OWN_TMPFS, ...owned].join(",")] as const);
  const written = service.mounts.flatMap((mount) =>
    mount.type === "tmpfs"
      ? [
          [
            mount.target,
            [
              "rw",
              "nosuid",
              "nodev",
              ...(mount.sizeBytes === undefined ? [] : [`size=${mount.sizeBytes}`]),
              ...(mount.mode === undefined ? [] : [`mode=${mount.mode.toString(8)}`]),
              ...owned,
            ].join(","),
          ] as const,
        ]
      : [],
  );
  return Object.fromEntries([...own, ...written]);
}

function portFields(ports: readonly PortBinding[]): Pick<Docker.ContainerCreateOptions, "ExposedPorts"> & {
  bindings: Record<string, { HostIp: string; HostPort: string }[]>;
} {
  const bindings: Record<string, { HostIp: string; HostPort: string }[]> = {};
  for (const { containerPort, protocol, hostPort } of ports) {
    const key = `${containerPort}/${protocol}`;
    bindings[key] ??= [];
    bindings[key].push({ HostIp: "127.0.0.1", HostPort: hostPort === 0 ? "" : String(hostPort) });
  }
  return { ExposedPorts: Object.fromEntries(Object.keys(bindings).map((key) => [key, {}])), bindings };
}

export function containerSpec(options: SpecOptions): Docker.ContainerCreateOptions {
  const { name, service, image, user, environment, limits, labels, networks, info } = options;
  // An engine before API 1.44 accepts only one network at creation; the others are connected before the start.
  const [network] = networks;
  const { ExposedPorts, bindings } = portFields(options.ports);
  return {
    name,
    Image: image.id,
    User: user,
    Env: environment,
    Labels: { ...service.labels, ...labels },
    ...(service.entrypoint === undefined ? {} : { Entrypoint: service.entrypoint }),
    ...(service.command === undefined ? {} : { Cmd: service.command }),
    ...(service.workingDir === undefined ? {} : { WorkingDir: service.workingDir }),
    StopSignal: service.stopSignal,
    ...containerSettings(service),
    ...(options.stdin === true ? { OpenStdin: true, StdinOnce: true, AttachStdin: true } : {}),
    // Disables the engine's health check: stackwarden runs its own, and both would run side by side.
    Healthcheck: { Test: ["NONE"] },
    ...(ExposedPorts === undefined ? {} : { ExposedPorts }),
    HostConfig: {
      NetworkMode: network?.name ?? "none",
      PortBindings: bindings,
      Mounts: mounts(options),
      Tmpfs: temporary(options),
      RestartPolicy: { Name: "no" },
      LogConfig: LOG,
      ReadonlyRootfs: service.readOnly,
      // Signals reach the program although it is not an init, and orphaned children are reaped.
      Init: info.init,
      Privileged: false,
      CapDrop: ["ALL"],
      SecurityOpt: ["no-new-privileges"],
      ...hostSettings(service),
      ...limitFields(info.limits.pids ? withDefaults(limits) : limits),
    },
    ...(network === undefined
      ? {}
      : { NetworkingConfig: { EndpointsConfig: { [network.name]: endpointConfig(network) } } }),
  };
}
