/** Copies volumes into a folder of this machine, one tar archive each, with owners and modes of the files. */
import { createWriteStream } from "node:fs";
import { join } from "node:path";
import { type Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import type Docker from "dockerode";
import type { CopyVolumesRequest } from "../../../stack/runtime.js";
import { snapshotTooLarge } from "../../shared/snapshot-too-large.js";
import { VOLUME, withVolume } from "./archive-container.js";
import { volumeName } from "./names.js";
import { createdAt } from "./volume.js";

export const archiveName = (volume: string): string => `${volume}.tar`;

/** @throws SNAPSHOT_TOO_LARGE, the engine's error, the signal's reason */
export async function copyVolumes(
  docker: Docker,
  request: CopyVolumesRequest,
  archiveDir: string,
): Promise<Record<string, number>> {
  const { maxBytes, signal } = request;
  const identity = { projectId: request.projectId, stateDir: request.stateDir };
  const present: { volume: string; name: string }[] = [];
  for (const volume of request.volumes) {
    const name = volumeName(identity, volume);
    if ((await createdAt(docker, name)) !== null) present.push({ volume, name });
  }
  const sizes: Record<string, number> = {};
  let total = 0;
  for (const { volume, name } of present)
    await withVolume(docker, identity, name, async (container) => {
      signal.throwIfAborted();
      const archive = (await container.getArchive({ path: `${VOLUME}/.` })) as unknown as Readable;
      let size = 0;
      const count = new Transform({
        transform(chunk: Buffer, _encoding, next) {
          size += chunk.length;
          total += chunk.length;
          next(total > maxBytes ? snapshotTooLarge(maxBytes) : null, chunk);
        },
      });
      await pipeline(archive, count, createWriteStream(join(archiveDir, archiveName(volume)), { mode: 0o600 }), {
        signal,
      });
      sizes[volume] = size;
    });
  return sizes;
}
