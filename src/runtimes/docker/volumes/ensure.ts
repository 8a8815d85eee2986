/** Creates the volumes of one service before its container. */
import type Docker from "dockerode";
import type { ServiceDefinition, StackDefinition } from "../../../stack/definition/types.js";
import type { Image } from "../image/image.js";
import type { StackIdentity } from "../leftovers/labels.js";
import { imageVolumeName, volumeLabels, volumeName } from "./names.js";
import { createdAt } from "./volume.js";

export interface ServiceVolume {
  /** Name on the engine. */
  name: string;
  /** Name in the definition; absent for a volume that the image declares. */
  source?: string;
  target: string;
  readOnly: boolean;
  /** Only this folder of the volume is mounted. */
  subpath?: string;
  /** The volume starts empty, without the image's content at its path. */
  noCopy: boolean;
  /** True when it was created for this start and its owner is not set yet. */
  fresh: boolean;
}

/** @returns whether no other service than this one mounts a volume */
export const unshared =
  (definition: Pick<StackDefinition, "services">, service: string) =>
  ({ source }: Pick<ServiceVolume, "source">): boolean =>
    Object.values(definition.services).every(
      (other) =>
        other.name === service || !other.mounts.some((mount) => mount.type === "volume" && mount.source === source),
    );

const trimmed = (path: string): string => (path.length > 1 ? path.replace(/\/+$/, "") : path);

/** Named volumes of the definition, and volumes that the image declares at paths without a mount. */
async function ensureOne(docker: Docker, name: string, labels: Record<string, string>): Promise<boolean> {
  if ((await createdAt(docker, name)) !== null) return false;
  await docker.createVolume({ Name: name, Labels: labels });
  return true;
}

export async function ensureVolumes(
  docker: Docker,
  identity: StackIdentity,
  service: Pick<ServiceDefinition, "name" | "mounts">,
  image: Pick<Image, "volumes">,
): Promise<ServiceVolume[]> {
  const named = service.mounts.flatMap((mount) =>
    mount.type === "volume"
      ? [
          {
            source: mount.source,
            name: volumeName(identity, mount.source),
            labels: volumeLabels(identity, mount.source),
            target: trimmed(mount.target),
            readOnly: mount.readOnly,
            noCopy: mount.noCopy === true,
            ...(mount.subpath === undefined ? {} : { subpath: mount.subpath }),
          },
        ]
      : [],
  );
  const mounted = new Set(service.mounts.map(({ target }) => trimmed(target)));
  const declared = image.volumes
    .map(trimmed)
    .filter((path) => !mounted.has(path))
    .map((path) => ({
      name: imageVolumeName(identity, service.name, path),
      labels: volumeLabels(identity),
      target: path,
      readOnly: false,
      noCopy: false,
    }));
  return Promise.all(
    [...named, ...declared].map(async ({ labels, ...volume }) => ({
      ...volume,
      fresh: await ensureOne(docker, volume.name, labels),
    })),
  );
}
