/** Replaces volumes with earlier copies: new cache volumes are filled, then they take the place of the former ones. */
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Client } from "@dagger.io/dagger";
import type { VolumesRequest } from "../../../stack/runtime.js";
import { containerWith, PLACE, type VolumeAccess, volumeError, withEngine } from "./access.js";
import { archiveName, originName } from "./copy.js";
import { newKey, recordFilling, replaceVolumes, type VolumeRecord } from "./records.js";
import { deleteContent, type UnreachedContent } from "./remove.js";

const ARCHIVE = "/stackwarden/volume.tar";

async function unpack(client: Client, record: VolumeRecord, path: string, fallbackImage: string): Promise<void> {
  const base = await containerWith(client, record, fallbackImage);
  await base
    .withMountedFile(ARCHIVE, client.host().file(path, { noCache: true }))
    .withEnvVariable("STACKWARDEN_RESTORE", randomBytes(8).toString("hex"))
    .withExec(["tar", "-C", PLACE, "--numeric-owner", "-xpf", ARCHIVE])
    .sync();
}

/**
 * @returns the engines that still have content of the former volumes; a later removal deletes it
 * @throws STORAGE_FAILED, RUNTIME_UNAVAILABLE, the signal's reason; then no volume has changed
 */
export async function restoreVolumes(
  access: VolumeAccess,
  runnerHost: string | null,
  { volumes, signal }: VolumesRequest,
  archiveDir: string,
): Promise<UnreachedContent[]> {
  const { projectId, stateDir, fallbackImage } = access;
  const kept = volumes.filter((volume) => existsSync(join(archiveDir, archiveName(volume))));
  const restored = new Map<string, VolumeRecord | null>(volumes.map((volume) => [volume, null]));
  const fill = async (client: Client): Promise<void> => {
    for (const volume of kept) {
      const origin = JSON.parse(await readFile(join(archiveDir, originName(volume)), "utf8")) as Partial<VolumeRecord>;
      const record: VolumeRecord = { ...origin, key: newKey(projectId, volume), runnerHost };
      await recordFilling(stateDir, record);
      await unpack(client, record, join(archiveDir, archiveName(volume)), fallbackImage).catch((error: unknown) => {
        signal.throwIfAborted();
        throw volumeError(error, `Restoring the volume ${volume}`);
      });
      restored.set(volume, record);
    }
  };
  if (kept.length > 0) await withEngine(access, runnerHost, signal, fill);
  signal.throwIfAborted();
  await replaceVolumes(stateDir, runnerHost, restored);
  // The restore is complete: what cannot be deleted now stays recorded.
  return deleteContent(access).catch(() => []);
}
