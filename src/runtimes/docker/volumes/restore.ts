/** Replaces the content of volumes with earlier copies. */
import { randomBytes } from "node:crypto";
import { createReadStream, existsSync } from "node:fs";
import { join } from "node:path";
import type Docker from "dockerode";
import type { VolumesRequest } from "../../../stack/runtime.js";
import { isNotFound } from "../engine/errors.js";
import { sweepProject } from "../leftovers/sweep.js";
import { withVolumes } from "./archive-container.js";
import { archiveName } from "./copy.js";
import { volumeLabels, volumeName } from "./names.js";

const remove = (docker: Docker, name: string): Promise<void> =>
  docker
    .getVolume(name)
    .remove()
    .catch((error: unknown) => {
      if (!isNotFound(error)) throw error;
    });

/** Unpacks each archive into the volume at the same index of the list. */
const unpack = (
  docker: Docker,
  request: VolumesRequest,
  names: readonly string[],
  archives: readonly string[],
): Promise<void> =>
  withVolumes(docker, request, names, async (container) => {
    for (const [at, path] of archives.entries()) {
      request.signal.throwIfAborted();
      await container.putArchive(createReadStream(path), { path: `/volumes/${at}` });
    }
  });

/**
 * Unpacks all archives into temporary volumes first, so that a damaged archive or a full disk changes nothing.
 * @throws the engine's error, the signal's reason
 */
export async function restoreVolumes(docker: Docker, request: VolumesRequest, archiveDir: string): Promise<void> {
  const { projectId, stateDir, volumes } = request;
  const identity = { projectId, stateDir };
  await sweepProject(docker, identity);
  const archived = volumes.filter((volume) => existsSync(join(archiveDir, archiveName(volume))));
  const archives = archived.map((volume) => join(archiveDir, archiveName(volume)));
  const trials = archived.map((volume) => `${volumeName(identity, volume)}-${randomBytes(4).toString("hex")}`);
  try {
    for (const Name of trials) await docker.createVolume({ Name, Labels: volumeLabels(identity) });
    if (archived.length > 0) await unpack(docker, request, trials, archives);
  } finally {
    for (const name of trials) await remove(docker, name).catch(() => undefined);
  }
  for (const volume of volumes) await remove(docker, volumeName(identity, volume));
  if (archived.length === 0) return;
  const names = archived.map((volume) => volumeName(identity, volume));
  for (const [at, Name] of names.entries())
    await docker.createVolume({ Name, Labels: volumeLabels(identity, archived[at] as string) });
  await unpack(docker, request, names, archives);
}
