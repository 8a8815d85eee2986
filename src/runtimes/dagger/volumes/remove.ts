/**
 * Deletes named volumes. An engine has no operation that deletes one cache volume: instead, its key is forgotten so
 * that no stack uses it again, and a container that mounts it deletes its content.
 */

import { randomBytes } from "node:crypto";
import type { Client } from "@dagger.io/dagger";
import { timeoutSignal } from "../../../system/wait.js";
import type { KeptContent } from "../../shared/kept-content.js";
import { containerWith, PLACE, type VolumeAccess, volumeError, withEngine } from "./access.js";
import { deletedVolumes, forgetDeleted, forgetVolumes, type VolumeRecord } from "./records.js";

/** Milliseconds for the volumes of one engine. */
const DEADLINE_MS = 60_000;
/** Milliseconds to connect to an engine at an address. The CLI may have to start engines of another kind first. */
const CONNECT_MS = 20_000;
const AT_ADDRESS = /^(?:tcp|unix):/;

/** Deleted volumes whose content is left on an engine. */
export interface UnreachedContent extends Pick<KeptContent, "engine" | "reason"> {
  records: VolumeRecord[];
}

async function empty(client: Client, record: VolumeRecord, fallbackImage: string): Promise<void> {
  const container = await containerWith(client, record, fallbackImage);
  await container
    // A unique value, so that the engine does not reuse a cached result.
    .withEnvVariable("STACKWARDEN_REMOVE", randomBytes(8).toString("hex"))
    // Not every BusyBox has -delete.
    .withExec(["/bin/sh", "-c", `find ${PLACE} -mindepth 1 -maxdepth 1 -exec rm -rf {} +`])
    .sync();
}

async function emptyAll(access: VolumeAccess, runnerHost: string | null, records: VolumeRecord[]): Promise<void> {
  const connecting = new AbortController();
  const late = new Error(`the engine did not answer within ${CONNECT_MS / 1000} s`);
  const timer = AT_ADDRESS.test(runnerHost ?? "") ? setTimeout(() => connecting.abort(late), CONNECT_MS) : undefined;
  try {
    const signal = AbortSignal.any([connecting.signal, timeoutSignal(DEADLINE_MS)]);
    await withEngine(access, runnerHost, signal, (client) => {
      clearTimeout(timer);
      return Promise.all(records.map((record) => empty(client, record, access.fallbackImage)));
    });
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Deletes the content of all volumes that are recorded as deleted, also of earlier calls; on all engines at once.
 * @returns the engines on which content is left
 * @throws STORAGE_FAILED
 */
export async function deleteContent(access: VolumeAccess): Promise<UnreachedContent[]> {
  const deleted = await deletedVolumes(access.stateDir);
  const hosts = [...new Set(deleted.map(({ runnerHost }) => runnerHost))];
  const kept = hosts.map(async (runnerHost): Promise<UnreachedContent[]> => {
    const records = deleted.filter((record) => record.runnerHost === runnerHost);
    try {
      await emptyAll(access, runnerHost, records);
    } catch (error) {
      const { message } = volumeError(error, "Deleting it") as Error;
      return [{ engine: runnerHost ?? "that the Dagger CLI chooses", reason: message, records }];
    }
    await forgetDeleted(access.stateDir, records);
    return [];
  });
  return (await Promise.all(kept)).flat();
}

/**
 * From the return on, the names of the volumes refer to new, empty ones.
 * @returns the engines on which content is left; a later call deletes it
 * @throws STORAGE_FAILED
 */
export async function removeVolumes(access: VolumeAccess, volumes: readonly string[]): Promise<UnreachedContent[]> {
  await forgetVolumes(access.stateDir, volumes);
  return deleteContent(access);
}
