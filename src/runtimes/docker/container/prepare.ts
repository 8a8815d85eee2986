/** Creates the container of a compose service, ready to be started. */
import { join } from "node:path";
import type Docker from "dockerode";
import { StackwardenError } from "../../../errors.js";
import type { Limits, ServiceDefinition, StackDefinition } from "../../../stack/definition/types.js";
import { APP_USER } from "../../shared/image-user.js";
import type { Dependencies } from "../dependencies/ensure.js";
import type { Engine } from "../engine/engine.js";
import { engineMessage, isPortTaken, serviceError, statusOf } from "../engine/errors.js";
import type { Image } from "../image/image.js";
import { groupLabels, LABEL, type StackIdentity, serverId, stackLabels } from "../leftovers/labels.js";
import { removeContainer } from "../leftovers/remove.js";
import { makeBindSources, ownBindSources, refuseReplacedSources } from "../volumes/bind-sources.js";
import { ensureVolumes, type ServiceVolume, unshared } from "../volumes/ensure.js";
import { ownVolumes } from "../volumes/owner.js";
import { removeNewVolumes } from "../volumes/remove.js";
import { checkBinds } from "../volumes/writable-binds.js";
import { containerEnvironment } from "./environment.js";
import { copySecretFiles, type SecretValue, secretsFolder, writeSecretFiles } from "./secret-files.js";
import { type ContainerNetwork, containerSpec, endpointConfig, type PortBinding } from "./spec.js";
import { type ContainerUser, containerUser, rootRefused } from "./user.js";
import { knownUserIds, type UserIds, userIds } from "./user-ids.js";

export interface PrepareOptions {
  engine: Engine;
  identity: StackIdentity;
  definition: StackDefinition;
  /** The project's folder. */
  folder: string;
  /** Folders that were created for binds of services that have not started yet. */
  pending: Set<string>;
  service: ServiceDefinition;
  image: Image;
  generation: number;
  limits: Limits;
  networks: readonly ContainerNetwork[];
  ports: readonly PortBinding[];
  /** Suffix of the container's name; one-off instances have different ones. */
  kind: string;
  env: NodeJS.ProcessEnv;
  hostPort(service: string, containerPort: number): number | undefined;
  /** Installs the dependencies of the service for this user. */
  dependencies(user: string): Promise<Dependencies>;
  /** The program that replaces the service's own; it has a standard input. */
  command?: string[];
}

export interface PreparedContainer {
  id: string;
  user: string;
  /** Numeric user id, when the image or the user itself specifies it. */
  uid: number | null;
  notes: string[];
  /** Volumes with data of the service that were created for this start. */
  newVolumes: ServiceVolume[];
  /** Private folder with the secrets of the container. */
  secrets: string;
}

const instanceLabels = ({
  identity,
  service,
  generation,
}: Pick<PrepareOptions, "identity" | "service" | "generation">): Record<string, string> => ({
  ...stackLabels(identity),
  [LABEL.service]: service.name,
  [LABEL.generation]: String(generation),
  [LABEL.server]: serverId(),
  ...groupLabels(identity, service.name),
});

/** The name may be in use by a foreign container: the engine then chooses one. */
async function create(docker: Docker, spec: Docker.ContainerCreateOptions): Promise<string> {
  try {
    return (await docker.createContainer(spec)).id;
  } catch (error) {
    if (statusOf(error) !== 409) throw error;
    const { name: _taken, ...rest } = spec;
    return (await docker.createContainer(rest)).id;
  }
}

function createError(error: unknown, service: string, { address, socket }: Engine): unknown {
  const message = engineMessage(error);
  if (/no command specified/i.test(message))
    return new StackwardenError(
      "SERVICE_START_FAILED",
      `Neither the image of ${service} nor the compose file names a command.`,
      {
        hint: `Add services.${service}.command.`,
        details: { service },
        cause: error,
      },
    );
  const folder = /cannot access path \S*?\/_data\/(.+?): (?:lstat|stat|openat2?) /.exec(message)?.[1];
  if (folder !== undefined)
    return new StackwardenError("SERVICE_START_FAILED", `${service}: a volume has no folder ${folder} (subpath).`, {
      hint: "Start a service first that mounts the whole volume and creates the folder, or leave subpath out.",
      details: { service },
      cause: error,
    });
  if (/bind source path does not exist|invalid mount config/i.test(message))
    return new StackwardenError(
      "SERVICE_START_FAILED",
      `${service}: the container engine${socket ? "" : ` at ${address.host}`} cannot mount a folder: ${message}`,
      {
        hint: socket
          ? "Create the folder. An engine in a virtual machine mounts only the folders that it shares with this machine."
          : "The engine runs on another machine and mounts only folders of that machine: copy the source into an image (build), or use an engine on this machine.",
        details: { service },
        cause: error,
      },
    );
  return isPortTaken(error) ? error : serviceError(error, service, "creating its container", address.host);
}

/**
 * On failure no container is left, and no new volume that only this service mounts: the next start would not give it to
 * the service's user.
 * @throws SERVICE_START_FAILED, POLICY_VIOLATION, RUNTIME_UNAVAILABLE, STORAGE_FAILED
 */
export async function prepareContainer(options: PrepareOptions): Promise<PreparedContainer> {
  const { engine, identity, service, image } = options;
  refuseReplacedSources(options);
  const chosen = await containerUser({ service, image, binds: engine.sameMachine });
  const createdBinds = engine.sameMachine ? makeBindSources(options) : [];
  const volumes = await ensureVolumes(engine.docker, identity, service, image);
  const data = { createdBinds, volumes };
  try {
    return (await prepareAs(options, chosen, data)) ?? ((await prepareAs(options, APP, data)) as PreparedContainer);
  } catch (error) {
    const isUnshared = unshared(options.definition, service.name);
    const created = volumes.filter((volume) => volume.fresh && isUnshared(volume));
    await removeNewVolumes(engine.docker, created).catch(() => undefined);
    throw error;
  }
}

interface PreparedData {
  /** Bound folders that were created for this container. */
  createdBinds: string[];
  volumes: ServiceVolume[];
}

/** The user of an image that lacks the one that images of its name usually have. */
const APP: ContainerUser = {
  user: APP_USER,
  homeless: true,
  notes: [`Its image would run as root; it runs as ${APP_USER}. Set user in the compose file for another one.`],
};

/** @returns null when the image lacks an assumed user; then no container is left */
async function prepareAs(
  options: PrepareOptions,
  chosen: ContainerUser,
  data: PreparedData,
): Promise<PreparedContainer | null> {
  const { engine, identity, definition, service, image, kind, env } = options;
  const { docker } = engine;
  const dependencies = await options.dependencies(chosen.user);
  const volumes = [...data.volumes, ...dependencies.volumes];
  const folder = await secretsFolder({ ...identity, sameMachine: engine.sameMachine, env });
  const secrets = join(folder, `${service.name}-${kind}`);
  const files = [
    ...service.secrets.map(({ source, ...file }) => ({
      ...file,
      value: definition.secrets[source] ?? definition.binarySecrets?.[source],
    })),
    ...(service.configs ?? []).map(({ source, ...file }) => ({ ...file, value: definition.configs?.[source] })),
  ].flatMap(({ value, ...file }): SecretValue[] => (value === undefined ? [] : [{ ...file, value }]));
  const labels = instanceLabels(options);
  const own = { ...service, ...(options.command === undefined ? {} : { command: options.command }) };
  const specFor = (secretFiles: { source: string; target: string }[], owner: UserIds | null) =>
    containerSpec({
      ...options,
      owner,
      name: `${identity.projectId}-${service.name}-${kind}`,
      service: own,
      user: chosen.user,
      environment: containerEnvironment({
        service: { environment: { ...dependencies.environment, ...service.environment } },
        image,
        hostPort: options.hostPort,
        homeless: chosen.homeless,
      }),
      labels,
      volumes,
      secrets: secretFiles,
      info: engine.info,
      stdin: options.command !== undefined,
    });
  let id: string | undefined;
  try {
    // The files belong to a user whose id only the image defines. They are created before the container, without their
    // owner.
    const placed = engine.socket ? await writeSecretFiles(secrets, files, numericUser(chosen.user)) : [];
    const knownIds = numericUser(chosen.user) ?? knownUserIds(image.id, chosen.user) ?? null;
    const first = specFor(placed, knownIds);
    id = await create(docker, first);
    const named = !/^\d+(?::\d+)?$/.test(chosen.user);
    const fresh = volumes.some((volume) => volume.fresh);
    const binds = engine.sameMachine && service.mounts.some((mount) => mount.type === "bind" && !mount.readOnly);
    const ids = named || fresh || binds ? await userIds(docker, id, image.id, chosen.user) : null;
    if (ids?.uid === 0 && !service.allowRoot) throw rootRefused(service.name);
    if (ids === null && chosen.assumed === true) {
      await removeContainer(docker, id);
      return null;
    }
    if (knownIds === null && ids !== null && Object.keys(first.HostConfig?.Tmpfs ?? {}).length > 0) {
      // Temporary file systems need the user's ids at the creation, and only a container of the image shows them.
      await removeContainer(docker, id);
      id = await create(docker, specFor(placed, ids));
    }
    for (const network of options.networks.slice(1))
      await docker.getNetwork(network.name).connect({ Container: id, EndpointConfig: endpointConfig(network) });
    if (named && ids !== null && placed.length > 0) await writeSecretFiles(secrets, files, ids);
    if (!engine.socket) await copySecretFiles(docker, id, service, files, ids ?? numericUser(chosen.user));
    const notes =
      ids === null || !fresh
        ? []
        : await ownVolumes({ docker, container: id, image: image.id, labels, volumes, user: ids });
    const whole = engine.info.subpaths
      ? []
      : volumes.flatMap(({ subpath, source, target }) =>
          subpath === undefined
            ? []
            : [
                `The whole volume ${source} is mounted at ${target}: a subpath needs Docker Engine 26, and this is ${engine.info.name} ${engine.info.version}.`,
              ],
        );
    const newVolumes = data.volumes.filter((volume) => volume.fresh);
    const uid = ids?.uid ?? numericUser(chosen.user)?.uid ?? null;
    const createdSources = ownBindSources(data.createdBinds, options.folder, ids);
    const readable = binds && ids !== null ? checkBinds(service, image, options.folder, ids) : [];
    return {
      id,
      user: chosen.user,
      uid,
      notes: [...chosen.notes, ...createdSources, ...readable, ...notes, ...whole],
      newVolumes,
      secrets,
    };
  } catch (error) {
    if (id !== undefined) await removeContainer(docker, id).catch(() => undefined);
    await writeSecretFiles(secrets, [], null).catch(() => undefined);
    throw createError(error, service.name, engine);
  }
}

const numericUser = (user: string): { uid: number; gid: number } | null => {
  const [, uid, gid] = /^(\d+)(?::(\d+))?$/.exec(user) ?? [];
  return uid === undefined ? null : { uid: Number(uid), gid: Number(gid ?? uid) };
};
