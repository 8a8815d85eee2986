/** Replaces the content of volumes with earlier copies. */
import { randomBytes } from "node:crypto";
import { createReadStream, existsSync } from "node:fs";
import { join } from "node:path";
import { basename, dirname } from "node:path/posix";
import { Readable } from "node:stream";
import type Docker from "dockerode";
import { extract, type Headers, pack } from "tar-stream";
import type { VolumesRequest } from "../../../stack/runtime.js";
import type { Engine } from "../engine/engine.js";
import { sendArchive } from "../engine/send-archive.js";
import { sweepProject } from "../leftovers/sweep.js";
import { VOLUME, withVolume } from "./archive-container.js";
import { archiveName } from "./copy.js";
import { moveEntries } from "./move-entries.js";
import { volumeLabels, volumeName } from "./names.js";
import { removeVolume } from "./volume.js";

/** The folder that an archive is the copy of; null for an archive that does not say. */
function rootEntry(path: string): Promise<Headers | null> {
  return new Promise((resolve, reject) => {
    const stream = createReadStream(path);
    const reader = extract();
    const finish = (header: Headers | null): void => {
      resolve(header);
      stream.destroy();
      reader.destroy();
    };
    reader.once("entry", (header) => finish(/^\.?\/?$/.test(header.name) ? header : null));
    reader.once("finish", () => finish(null));
    for (const one of [stream, reader]) one.once("error", reject);
    stream.pipe(reader);
  });
}

/** Podman gives the folder into which it unpacks neither the owner nor the mode of the archive's folder. */
async function ownRoot(container: Docker.Container, path: string): Promise<void> {
  const root = await rootEntry(path);
  if (root === null) return;
  const { uid, gid, mode, mtime } = root;
  const archive = pack();
  archive.entry({ name: `${basename(VOLUME)}/`, type: "directory", uid, gid, mode, mtime } as Headers);
  archive.finalize();
  await container.putArchive(archive, { path: dirname(VOLUME) });
}

/**
 * Docker Engine refuses a link whose target is outside of the folder into which it unpacks, and data may contain such
 * links. Nothing is outside of the container's root. Podman accepts them, and unpacks into a volume only at its path.
 */
async function unpackOne(
  { docker, info }: Engine,
  request: VolumesRequest,
  name: string,
  archivePath: string,
): Promise<void> {
  request.signal.throwIfAborted();
  await withVolume(docker, request, name, async (container) => {
    const file = createReadStream(archivePath);
    const archive = info.podman ? file : Readable.from(moveEntries(file, `${VOLUME.slice(1)}/`), { objectMode: false });
    const path = info.podman ? VOLUME : "/";
    try {
      await sendArchive(archive, request.signal, (abortSignal) => container.putArchive(archive, { path, abortSignal }));
    } finally {
      file.destroy();
    }
    if (info.podman) await ownRoot(container, archivePath);
  });
}

/** Unpacks each archive into the volume at the same index of the list. */
async function unpack(
  engine: Engine,
  request: VolumesRequest,
  names: readonly string[],
  archives: readonly string[],
): Promise<void> {
  for (const [at, path] of archives.entries()) await unpackOne(engine, request, names[at] as string, path);
}

/**
 * Unpacks all archives into temporary volumes first, so that a damaged archive or a full disk changes nothing.
 * @throws the engine's error, the signal's reason
 */
export async function restoreVolumes(engine: Engine, request: VolumesRequest, archiveDir: string): Promise<void> {
  const { docker } = engine;
  const { projectId, stateDir, volumes } = request;
  const identity = { projectId, stateDir };
  await sweepProject(docker, identity);
  const archived = volumes.filter((volume) => existsSync(join(archiveDir, archiveName(volume))));
  const archives = archived.map((volume) => join(archiveDir, archiveName(volume)));
  const trials = archived.map((volume) => `${volumeName(identity, volume)}-${randomBytes(4).toString("hex")}`);
  try {
    for (const Name of trials) await docker.createVolume({ Name, Labels: volumeLabels(identity) });
    await unpack(engine, request, trials, archives);
  } finally {
    for (const name of trials) await removeVolume(docker, name).catch(() => undefined);
  }
  for (const volume of volumes) await removeVolume(docker, volumeName(identity, volume));
  const names = archived.map((volume) => volumeName(identity, volume));
  for (const [at, Name] of names.entries())
    await docker.createVolume({ Name, Labels: volumeLabels(identity, archived[at] as string) });
  await unpack(engine, request, names, archives);
}
