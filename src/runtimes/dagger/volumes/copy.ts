/** Copies volumes into a folder of this machine, one tar archive each, with owners and modes of the files. */
import { randomBytes } from "node:crypto";
import { chmod, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Client } from "@dagger.io/dagger";
import { StackwardenError } from "../../../errors.js";
import type { CopyVolumesRequest } from "../../../stack/runtime.js";
import { snapshotTooLarge } from "../../shared/snapshot-too-large.js";
import { containerWith, PLACE, type VolumeAccess, volumeError, withEngine } from "./access.js";
import { type VolumeRecord, volumesOn } from "./records.js";

export const archiveName = (volume: string): string => `${volume}.tar`;
/** The image and the owner of the volume, which another project needs that has never used it. */
export const originName = (volume: string): string => `${volume}.json`;

const ARCHIVE = "/stackwarden/archive/volume.tar";

/** Packs the volume into at most so many bytes (argument). The engine's layer is as large as the archive. */
const PACK = `
[ -n "$(ls -A ${PLACE})" ] || { echo empty; exit 0; }
mkdir -p /stackwarden/archive && cd /stackwarden/archive || exit 1
{ tar -C ${PLACE} --numeric-owner -cf - .; echo $? > code; } | head -c $(($1 + 1)) > volume.tar || exit 1
size=$(($(wc -c < volume.tar)))
if [ "$size" -gt "$1" ]; then rm volume.tar; echo large; exit 0; fi
[ "$(cat code)" = 0 ] || exit 1
echo "packed $size"`;

/** Bytes of the archive; null for an empty volume. */
type Packed = number | "too large" | null;

async function pack(
  client: Client,
  record: VolumeRecord,
  { fallbackImage, most, path }: { fallbackImage: string; most: number; path: string },
): Promise<Packed> {
  const base = await containerWith(client, record, fallbackImage);
  const done = base
    // A unique value, so that the engine does not reuse a cached result.
    .withEnvVariable("STACKWARDEN_COPY", randomBytes(8).toString("hex"))
    .withExec(["/bin/sh", "-c", PACK, "sh", String(most)]);
  const [kind, size] = (await done.stdout()).trim().split(" ");
  if (kind === "empty") return null;
  if (kind === "large") return "too large";
  await done.file(ARCHIVE).export(path);
  await chmod(path, 0o600);
  const bytes = (await stat(path)).size;
  if (bytes !== Number(size))
    throw new StackwardenError("STORAGE_FAILED", `Expected an archive of ${size} bytes, got ${bytes}.`, {
      hint: "Check the state directory's disk, then call again.",
    });
  return bytes;
}

/** @throws SNAPSHOT_TOO_LARGE, STORAGE_FAILED, RUNTIME_UNAVAILABLE, the signal's reason */
export async function copyVolumes(
  access: VolumeAccess,
  runnerHost: string | null,
  { volumes, maxBytes, signal }: CopyVolumesRequest,
  archiveDir: string,
): Promise<Record<string, number>> {
  signal.throwIfAborted();
  const copied: Record<string, number> = Object.create(null);
  const recorded = await volumesOn(access.stateDir, runnerHost);
  const present = volumes.flatMap((volume) => {
    const record = recorded.get(volume);
    return record === undefined ? [] : [{ volume, record }];
  });
  if (present.length === 0) return copied;
  let most = maxBytes;
  await withEngine(access, runnerHost, signal, async (client) => {
    for (const { volume, record } of present) {
      const path = join(archiveDir, archiveName(volume));
      const options = { fallbackImage: access.fallbackImage, most, path };
      const bytes = await pack(client, record, options).catch((error: unknown) => {
        signal.throwIfAborted();
        throw volumeError(error, `Copying the volume ${volume}`);
      });
      if (bytes === "too large") throw snapshotTooLarge(maxBytes);
      if (bytes === null) continue;
      const { image, owner } = record;
      await writeFile(join(archiveDir, originName(volume)), JSON.stringify({ image, owner }), { mode: 0o600 });
      copied[volume] = bytes;
      most -= bytes;
    }
  });
  return copied;
}
