/** Access to the content of cache volumes: only containers of an engine can read and write it. */
import type { Client, Container } from "@dagger.io/dagger";
import { StackwardenError } from "../../../errors.js";
import { lastLine } from "../../shared/last-line.js";
import { findCli } from "../engine/discovery.js";
import { execFailure, isTransientFault } from "../engine/engine-errors.js";
import type { OpenSession } from "../session/types.js";
import type { VolumeRecord } from "./records.js";

export interface VolumeAccess {
  projectId: string;
  stateDir: string;
  env: NodeJS.ProcessEnv;
  openSession: OpenSession;
  /** Image of the container for volumes whose own image is not known or has no tools. */
  fallbackImage: string;
  /** Folder of a downloaded CLI. */
  programs?: string | undefined;
}

/** Where a container has the volume. */
export const PLACE = "/stackwarden/volume";

/**
 * Opens a session for the duration of `task`.
 * @throws RUNTIME_UNAVAILABLE, UNSUPPORTED (version), the signal's reason
 */
export async function withEngine<T>(
  { stateDir, env, openSession, programs }: VolumeAccess,
  runnerHost: string | null,
  signal: AbortSignal,
  task: (client: Client) => Promise<T>,
): Promise<T> {
  signal.throwIfAborted();
  const cli = await findCli(env, programs);
  if ("missing" in cli)
    throw new StackwardenError("RUNTIME_UNAVAILABLE", cli.missing, { hint: "Run `stackwarden doctor`." });
  const session = await openSession({
    cli: cli.path,
    runnerHost,
    workdir: stateDir,
    env,
    signal,
    warn: () => undefined,
  });
  try {
    return await task(session.client({ signal }));
  } catch (error) {
    signal.throwIfAborted();
    session.ended.throwIfAborted();
    throw error;
  } finally {
    await session.close();
  }
}

/** The image that used the volume, where it has a shell and tar; else the fallback image. */
async function imageWithTools(client: Client, image: string | undefined, fallback: string): Promise<Container> {
  if (image !== undefined && image !== fallback) {
    const own = client.container().from(image);
    const tools = await Promise.all([own.exists("/bin/sh"), own.exists("/bin/tar")]).catch(() => [false]);
    if (tools.every(Boolean)) return own;
  }
  return client.container().from(fallback);
}

/** A container with the volume, as root: files belong to several users. */
export async function containerWith(client: Client, record: VolumeRecord, fallback: string): Promise<Container> {
  const { key, owner, image } = record;
  const container = await imageWithTools(client, image, fallback);
  return container
    .withUser("root")
    .withMountedCache(PLACE, client.cacheVolume(key), owner === undefined ? {} : { owner });
}

/** The error for the caller of a copy or a restore. */
export function volumeError(error: unknown, doing: string): unknown {
  if (error instanceof StackwardenError) return error;
  const failure = execFailure(error);
  if (failure !== null)
    return new StackwardenError("STORAGE_FAILED", `${doing} failed on the engine: ${lastLine(failure.stderr)}.`, {
      hint: "Free space on the engine's disk if it is full, then call again.",
      cause: error,
    });
  if (!(error instanceof Error)) return error;
  return new StackwardenError(
    "RUNTIME_UNAVAILABLE",
    `${doing} failed: ${lastLine(error.message)}${isTransientFault(error) ? "" : "."}`,
    { hint: "Run `stackwarden doctor`, then call again.", cause: error },
  );
}
