/**
 * Deletes named volumes. An engine has no operation that deletes one cache volume: instead, its key is forgotten so
 * that no stack uses it again, and a container that mounts it deletes its content.
 */
import { randomBytes } from "node:crypto";
import type { Client } from "@dagger.io/dagger";
import { findCli } from "../engine/discovery.js";
import type { OpenSession } from "../session/types.js";
import { forgetVolumes, type VolumeRecord } from "./volumes.js";

/** Milliseconds for the whole operation; after that, the engine's garbage collection removes the rest. */
const DEADLINE_MS = 60_000;
const PLACE = "/volume";

export interface RemoveVolumesOptions {
  projectId: string;
  stateDir: string;
  volumes: string[];
  env: NodeJS.ProcessEnv;
  warn(message: string): void;
  openSession: OpenSession;
  /** Image for volumes of services that are built. */
  fallbackImage: string;
  /** Folder of a downloaded CLI. */
  programs?: string | undefined;
}

async function empty(client: Client, { key, user, image }: VolumeRecord, fallbackImage: string): Promise<void> {
  await client
    .container()
    .from(image ?? fallbackImage)
    .withUser(user ?? "root")
    .withMountedCache(PLACE, client.cacheVolume(key))
    // A unique value, so that the engine does not reuse a cached result.
    .withEnvVariable("STACKWARDEN_REMOVE", randomBytes(8).toString("hex"))
    .withExec(["/bin/sh", "-c", `find ${PLACE} -mindepth 1 -delete`])
    .sync();
}

/** @throws STORAGE_FAILED; content that cannot be deleted now only causes a warning */
export async function removeVolumes(options: RemoveVolumesOptions): Promise<void> {
  const { stateDir, volumes, env, warn, openSession, fallbackImage, projectId, programs } = options;
  const removed = await forgetVolumes(stateDir, volumes);
  const left = (why: string) =>
    warn(
      `${projectId}: no stack sees the deleted volumes any more, but an engine still holds their content until it cleans its cache: ${why}`,
    );
  const cli = removed.length === 0 ? null : await findCli(env, programs);
  if (cli === null) return;
  if ("missing" in cli) return left(cli.missing);
  for (const runnerHost of new Set(removed.map((one) => one.runnerHost))) {
    const signal = AbortSignal.timeout(DEADLINE_MS);
    try {
      const session = await openSession({
        cli: cli.path,
        runnerHost,
        workdir: stateDir,
        env,
        signal,
        warn: () => undefined,
      });
      try {
        const client = session.client({ signal });
        const here = removed.filter((one) => one.runnerHost === runnerHost);
        await Promise.all(here.map((one) => empty(client, one, fallbackImage)));
      } finally {
        await session.close();
      }
    } catch (error) {
      left((error as Error).message);
    }
  }
}
