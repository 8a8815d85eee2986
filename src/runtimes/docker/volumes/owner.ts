/**
 * Assigns a new volume to the service's user: the engine creates it with root or the owner of the image's folder as
 * owner.
 */

import type { Readable } from "node:stream";
import type Docker from "dockerode";
import { extract, type Headers, pack } from "tar-stream";
import type { UserIds } from "../container/user-ids.js";
import { removeContainer } from "../leftovers/remove.js";
import type { ServiceVolume } from "./ensure.js";

export interface OwnerOptions {
  docker: Docker;
  /** The service's container, created and not started: its volumes contain the image's files at their paths. */
  container: string;
  image: string;
  labels: Record<string, string>;
  volumes: readonly ServiceVolume[];
  user: UserIds;
}

/** The folder itself, and whether it has entries. */
async function look(
  docker: Docker,
  container: string,
  path: string,
): Promise<{ header: Headers; empty: boolean } | null> {
  const stream = (await docker.getContainer(container).getArchive({ path })) as unknown as Readable;
  return new Promise((resolve) => {
    let header: Headers | null = null;
    const reader = extract();
    const finish = (empty: boolean): void => {
      resolve(header === null ? null : { header, empty });
      stream.destroy();
      reader.destroy();
    };
    reader.on("entry", (entry, body, next) => {
      if (header !== null) return finish(false);
      header = entry;
      body.resume();
      next();
    });
    reader.once("finish", () => finish(true));
    for (const one of [stream, reader]) one.once("error", () => finish(true));
    stream.pipe(reader);
  });
}

/**
 * Runs in a container with the same image and volumes. It is never the service's own container, which may be read-only
 * and must not run yet.
 */
async function helper(options: OwnerOptions, volumes: readonly ServiceVolume[], command: string[]): Promise<string> {
  const { docker, image, labels } = options;
  const created = await docker.createContainer({
    Image: image,
    User: "0:0",
    Entrypoint: command.slice(0, 1),
    Cmd: command.slice(1),
    Labels: labels,
    HostConfig: {
      NetworkMode: "none",
      CapDrop: ["ALL"],
      CapAdd: ["CHOWN", "DAC_OVERRIDE", "FOWNER"],
      SecurityOpt: ["no-new-privileges"],
      Mounts: volumes.map(({ name, target }) => ({
        Type: "volume",
        Source: name,
        Target: target,
        // The service's container already filled the volume, or it must stay empty.
        VolumeOptions: { NoCopy: true, Labels: {}, DriverConfig: { Name: "local", Options: {} } },
      })),
    },
  });
  return created.id;
}

/**
 * Changes the owner of the folders only, by uploading them again through the engine's archive API. The engine starts a
 * process for each upload.
 */
async function ownFolders(
  options: OwnerOptions,
  container: string,
  folders: readonly { target: string; header: Headers }[],
): Promise<void> {
  const { uid, gid } = options.user;
  const archive = pack();
  for (const { target, header } of folders)
    archive.entry({
      name: `${target.slice(1)}/`,
      type: "directory",
      mode: header.mode ?? 0o755,
      uid,
      gid,
      mtime: header.mtime ?? new Date(),
    });
  archive.finalize();
  await options.docker.getContainer(container).putArchive(archive, { path: "/" });
}

async function ownTree(options: OwnerOptions, volumes: readonly ServiceVolume[], container: string): Promise<boolean> {
  try {
    const running = options.docker.getContainer(container);
    await running.start();
    const { StatusCode } = (await running.wait()) as { StatusCode: number };
    return StatusCode === 0 && volumes.length > 0;
  } catch {
    // The image has no chown.
    return false;
  }
}

/** @returns notes for the caller */
export async function ownVolumes(options: OwnerOptions): Promise<string[]> {
  const { docker, container, volumes, user } = options;
  const fresh = volumes.filter((volume) => volume.fresh && !volume.readOnly);
  const roots = await Promise.all(
    fresh.map(async (volume) => ({ volume, found: await look(docker, container, volume.target) })),
  );
  const foreign = roots.flatMap(({ volume, found: root }) =>
    root === null || (root.header.uid === user.uid && (root.header.mode ?? 0) & 0o200) ? [] : [{ volume, ...root }],
  );
  if (foreign.length === 0) return [];
  const targets = foreign.map(({ volume }) => volume);
  const full = foreign.filter(({ empty }) => !empty).map(({ volume }) => volume);
  const command = ["chown", "-R", `${user.uid}:${user.gid}`, ...full.map(({ target }) => target)];
  const id = await helper(options, targets, command);
  try {
    const done = full.length === 0 || (await ownTree(options, full, id));
    const folders = foreign.flatMap(({ volume: { target }, header, empty }) =>
      empty || !done ? [{ target, header }] : [],
    );
    if (folders.length > 0) await ownFolders(options, id, folders);
    return done
      ? []
      : [`Files of the image in ${full.map(({ target }) => target).join(", ")} stay root's: the image has no chown.`];
  } finally {
    await removeContainer(docker, id);
  }
}
