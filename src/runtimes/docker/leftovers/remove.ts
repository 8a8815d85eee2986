/** Removes everything with the given labels: first containers, then networks. Volumes hold data and stay. */
import type Docker from "dockerode";
import { isNotFound, statusOf } from "../engine/errors.js";
import { labelFilter } from "./labels.js";

/** True when another client already removes it, or it is gone. */
const ignoreMissing = (error: unknown): void => {
  if (!isNotFound(error) && statusOf(error) !== 409) throw error;
};

export const removeContainer = (docker: Docker, id: string): Promise<void> =>
  docker.getContainer(id).remove({ force: true, v: true }).catch(ignoreMissing);

/**
 * @param keep returns true for a container or network that stays
 * @returns the number of removed containers
 */
export async function removeLabelled(
  docker: Docker,
  labels: Record<string, string>,
  keep: (labels: Record<string, string>) => boolean = () => false,
): Promise<number> {
  const filters = { label: labelFilter(labels) };
  const containers = (await docker.listContainers({ all: true, filters })).filter((one) => !keep(one.Labels ?? {}));
  const ends = await Promise.allSettled(containers.map(({ Id }) => removeContainer(docker, Id)));
  const networks = (await docker.listNetworks({ filters })).filter((one) => !keep(one.Labels ?? {}));
  ends.push(
    ...(await Promise.allSettled(networks.map(({ Id }) => docker.getNetwork(Id).remove().catch(ignoreMissing)))),
  );
  const failed = ends.find((end) => end.status === "rejected");
  if (failed !== undefined) throw failed.reason;
  return containers.length;
}
