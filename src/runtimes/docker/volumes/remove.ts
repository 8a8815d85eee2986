/** Deletes volumes of a stopped project, or everything of it. */
import type Docker from "dockerode";
import { StackwardenError } from "../../../errors.js";
import { engineMessage, isNotFound, statusOf } from "../engine/errors.js";
import { LABEL, labelFilter, type StackIdentity, stackLabels } from "../leftovers/labels.js";
import { sweepProject } from "../leftovers/sweep.js";
import type { ServiceVolume } from "./ensure.js";

/**
 * Deletes volumes that were created for an instance that has ended. One that another container uses stays.
 * @returns the names in the definition, or the paths of those that the image declares
 */
export async function removeNewVolumes(
  docker: Docker,
  volumes: readonly Pick<ServiceVolume, "name" | "source" | "target">[],
): Promise<string[]> {
  const removed: string[] = [];
  for (const { name, source, target } of volumes) {
    try {
      await docker.getVolume(name).remove();
      removed.push(source ?? target);
    } catch (error) {
      if (!isNotFound(error) && statusOf(error) !== 409) throw error;
    }
  }
  return removed;
}

/** @throws STORAGE_FAILED when a volume cannot be deleted */
export const removeVolumes = (docker: Docker, identity: StackIdentity, volumes: readonly string[]): Promise<void> =>
  // Volumes that images declare are data of the project too.
  remove(docker, identity, (volume) => volume === "" || volumes.includes(volume));

/**
 * Deletes all volumes of the project and the images built for it. An image that another container uses stays.
 * @throws STORAGE_FAILED when a volume cannot be deleted
 */
export async function removeProject(docker: Docker, identity: StackIdentity): Promise<void> {
  await remove(docker, identity, () => true);
  const images = await docker.listImages({ filters: { label: labelFilter(stackLabels(identity)) } as never });
  for (const { Id } of images)
    await docker
      .getImage(Id)
      .remove()
      .catch(() => undefined);
}

async function remove(docker: Docker, identity: StackIdentity, chosen: (volume: string) => boolean): Promise<void> {
  // Containers of an earlier server would keep a volume in use.
  await sweepProject(docker, identity);
  const allVolumes = (await docker.listVolumes({ filters: { label: labelFilter(stackLabels(identity)) } as never }))
    .Volumes;
  const ownVolumes = (allVolumes ?? []).filter(({ Labels }) => chosen(Labels?.[LABEL.volume] ?? ""));
  for (const { Name } of ownVolumes) {
    try {
      await docker.getVolume(Name).remove();
    } catch (error) {
      if (isNotFound(error)) continue;
      throw new StackwardenError("STORAGE_FAILED", `The volume ${Name} cannot be deleted: ${engineMessage(error)}`, {
        hint: "Remove the container that uses it (`docker ps -a`), then call again.",
        cause: error,
      });
    }
  }
}
