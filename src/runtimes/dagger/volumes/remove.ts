/**
 * Deletes named volumes. An engine has no operation that deletes one cache volume: instead, its key is forgotten so
 * that no stack uses it again, and a container that mounts it deletes its content.
 */
import { randomBytes } from "node:crypto";
import type { Client } from "@dagger.io/dagger";
import { containerWith, PLACE, type VolumeAccess, volumeError, withEngine } from "./access.js";
import { deletedVolumes, forgetDeleted, forgetVolumes, type VolumeRecord } from "./records.js";

/** Milliseconds for the volumes of one engine. */
const DEADLINE_MS = 60_000;

async function empty(client: Client, record: VolumeRecord, fallbackImage: string): Promise<void> {
  const container = await containerWith(client, record, fallbackImage);
  await container
    // A unique value, so that the engine does not reuse a cached result.
    .withEnvVariable("STACKWARDEN_REMOVE", randomBytes(8).toString("hex"))
    // Not every BusyBox has -delete.
    .withExec(["/bin/sh", "-c", `find ${PLACE} -mindepth 1 -maxdepth 1 -exec rm -rf {} +`])
    .sync();
}

/**
 * Deletes the content of all volumes that are recorded as deleted, also of earlier calls.
 * @returns why content is left on an engine, for each engine
 * @throws STORAGE_FAILED
 */
export async function deleteContent(access: VolumeAccess): Promise<string[]> {
  const deleted = await deletedVolumes(access.stateDir);
  const failures: string[] = [];
  for (const runnerHost of new Set(deleted.map((one) => one.runnerHost))) {
    const here = deleted.filter((one) => one.runnerHost === runnerHost);
    try {
      await withEngine(access, runnerHost, AbortSignal.timeout(DEADLINE_MS), (client) =>
        Promise.all(here.map((one) => empty(client, one, access.fallbackImage))),
      );
    } catch (error) {
      failures.push((volumeError(error, "Deleting it") as Error).message);
      continue;
    }
    await forgetDeleted(access.stateDir, here);
  }
  return failures;
}

/**
 * From the return on, the names of the volumes refer to new, empty ones.
 * @returns why content is left on an engine; a later call deletes it
 * @throws STORAGE_FAILED
 */
export async function removeVolumes(access: VolumeAccess, volumes: readonly string[]): Promise<string[]> {
  await forgetVolumes(access.stateDir, volumes);
  return deleteContent(access);
}
