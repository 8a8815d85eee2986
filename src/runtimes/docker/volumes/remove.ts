/** Deletes volumes of a stopped project. */
import type Docker from "dockerode";
import { StackwardenError } from "../../../errors.js";
import { engineMessage, isNotFound } from "../engine/errors.js";
import { LABEL, labelFilter, type StackIdentity, stackLabels } from "../leftovers/labels.js";
import { sweepProject } from "../leftovers/sweep.js";

/** @throws STORAGE_FAILED when a volume cannot be deleted */
export async function removeVolumes(
  docker: Docker,
  identity: StackIdentity,
  volumes: readonly string[],
): Promise<void> {
  // Containers of an earlier server would keep a volume in use.
  await sweepProject(docker, identity);
  const found = (await docker.listVolumes({ filters: { label: labelFilter(stackLabels(identity)) } as never })).Volumes;
  // Volumes that images declare are data of the project too.
  const wanted = (found ?? []).filter(({ Labels }) => ["", ...volumes].includes(Labels?.[LABEL.volume] ?? ""));
  for (const { Name } of wanted) {
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
