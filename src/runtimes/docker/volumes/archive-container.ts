/** Access to files of volumes through a container that is created, never started, and removed. */
import type Docker from "dockerode";
import { pack } from "tar-stream";
import { isNotFound } from "../engine/errors.js";
import { LABEL, type StackIdentity, serverId, stackLabels } from "../leftovers/labels.js";
import { removeContainer } from "../leftovers/remove.js";

const EMPTY = "stackwarden/empty:latest";

/** An image without files, which is created here: other images might be missing. */
async function ensureEmptyImage(docker: Docker): Promise<void> {
  try {
    await docker.getImage(EMPTY).inspect();
    return;
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
  const archive = pack();
  archive.entry({ name: "volumes/", type: "directory", mode: 0o755 });
  archive.finalize();
  const stream = await docker.importImage(archive as never, { repo: "stackwarden/empty", tag: "latest" });
  await new Promise<void>((resolve, reject) => {
    stream.on("data", () => undefined);
    stream.once("error", reject);
    stream.once("end", () => resolve());
  });
}

/** Where the container has the volume. */
export const VOLUME = "/volumes/data";

/**
 * The container has this volume only: a link in it that the engine follows, because the data changes during a copy,
 * leads to no other volume.
 */
export async function withVolume<T>(
  docker: Docker,
  identity: StackIdentity,
  volume: string,
  task: (container: Docker.Container) => Promise<T>,
): Promise<T> {
  await ensureEmptyImage(docker);
  const container = await docker.createContainer({
    Image: EMPTY,
    Cmd: ["none"],
    Labels: { ...stackLabels(identity), [LABEL.server]: serverId() },
    HostConfig: {
      NetworkMode: "none",
      CapDrop: ["ALL"],
      Mounts: [
        {
          Type: "volume",
          Source: volume,
          Target: VOLUME,
          VolumeOptions: { NoCopy: true, Labels: {}, DriverConfig: { Name: "local", Options: {} } },
        },
      ],
    },
  });
  try {
    return await task(container);
  } finally {
    await removeContainer(docker, container.id);
  }
}
