/** Configuration of a service's image. */

import type Docker from "dockerode";
import type { ImageHealthcheck } from "../../shared/image-healthcheck.js";
import { type Engine, platformOf } from "../engine/engine.js";

export interface Image {
  /** Content id, from which containers are created. The name may refer to another image later. */
  id: string;
  /** Name for reports: the one in the compose file, or that of the build. */
  name: string;
  /** For example `linux/amd64`. */
  platform: string;
  /** Epoch milliseconds at which the engine gave the image its name; null when it does not report it. */
  taggedAt: number | null;
  built: boolean;
  /** User; empty means root. */
  user: string;
  environment: Record<string, string>;
  workingDir: string;
  /** Paths of `VOLUME`. */
  volumes: string[];
  healthcheck: ImageHealthcheck | null;
  stopSignal: string | null;
  entrypoint: string[];
  command: string[];
}

/** Durations in nanoseconds; 0 or absent means the engine's default. */
interface RawConfig {
  User?: string;
  Env?: string[] | null;
  WorkingDir?: string;
  Volumes?: Record<string, unknown> | null;
  Healthcheck?: ImageHealthcheck | null;
  StopSignal?: string;
  Entrypoint?: string[] | string | null;
  Cmd?: string[] | null;
}

export const environmentOf = (list: readonly string[] | null | undefined): Record<string, string> =>
  Object.assign(
    Object.create(null),
    Object.fromEntries((list ?? []).map((one) => [one.replace(/=.*/s, ""), one.slice(one.indexOf("=") + 1)])),
  );

const list = (value: string[] | string | null | undefined): string[] =>
  value === null || value === undefined ? [] : typeof value === "string" ? [value] : value;

/** @throws the engine's error; 404 for an image that does not exist */
export async function inspectImage(
  { docker }: Pick<Engine, "docker">,
  reference: string,
  { name = reference, built = false, signal }: { name?: string; built?: boolean; signal?: AbortSignal } = {},
): Promise<Image> {
  const options: { abortSignal?: AbortSignal } = signal === undefined ? {} : { abortSignal: signal };
  const raw = await docker.getImage(reference).inspect(options as Docker.ImageInspectOptions);
  const config = (raw.Config ?? {}) as RawConfig;
  const tagged = Date.parse((raw as { Metadata?: { LastTagTime?: string } }).Metadata?.LastTagTime ?? "");
  return {
    id: raw.Id,
    name,
    platform: platformOf(`${raw.Os}/${raw.Architecture}`),
    // The engine reports the year 1 for an image that never got a name here.
    taggedAt: tagged > 0 ? tagged : null,
    built,
    user: config.User ?? "",
    environment: environmentOf(config.Env),
    workingDir: config.WorkingDir || "/",
    volumes: Object.keys(config.Volumes ?? {}),
    healthcheck: config.Healthcheck ?? null,
    stopSignal: config.StopSignal || null,
    entrypoint: list(config.Entrypoint),
    command: list(config.Cmd),
  };
}
