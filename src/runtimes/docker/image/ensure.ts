/** Makes the image of a service available before its container is created: builds it, pulls it, or finds it locally. */
import { StackwardenError } from "../../../errors.js";
import { parseDuration } from "../../../stack/definition/attributes/units.js";
import type { ServiceDefinition } from "../../../stack/definition/types.js";
import type { RuntimeNotice } from "../../../stack/runtime.js";
import { KeyedMutex } from "../../../system/keyed-mutex.js";
import { type Engine, platformOf } from "../engine/engine.js";
import { isConnectionError, isNotFound, unreachable } from "../engine/errors.js";
import { identityHash, type StackIdentity, stackLabels } from "../leftovers/labels.js";
import { type Image, inspectImage } from "./image.js";

export interface EnsureOptions {
  engine: Engine;
  identity: StackIdentity;
  service: ServiceDefinition;
  /** Values of the stack's secrets, by name. */
  secrets: Readonly<Record<string, string | Buffer>>;
  folder: string;
  /** Files that are never part of an image. */
  exclude: readonly string[];
  /** False: an image that the engine has is used whatever its age, as when a service restarts. */
  renew: boolean;
  env: NodeJS.ProcessEnv;
  retry: { maxRetries: number; baseDelayMs: number };
  signal: AbortSignal;
  phase(message: string): void;
  output(line: string): void;
  notice(type: RuntimeNotice["type"], message: string): void;
}

/** Pulls in progress, so that two services with the same image share one. */
const pulls = new KeyedMutex();

/** The service whose build creates the image of a service. All instances of a service have the same image. */
export const builderOf = ({ name, instanceOf = name, builtBy = instanceOf }: ServiceDefinition): string => builtBy;

/** Name of the image that a service's build creates. */
const buildTag = (identity: StackIdentity, service: string): string =>
  `stackwarden/${identity.projectId}-${service.toLowerCase()}:${identityHash(identity)}`;

async function present(options: EnsureOptions, name: string): Promise<Image | null> {
  const { engine, signal } = options;
  try {
    return await inspectImage(engine, name, { signal });
  } catch (error) {
    signal.throwIfAborted();
    if (isNotFound(error)) return null;
    if (isConnectionError(error)) throw unreachable(engine.address.host, error);
    throw new StackwardenError(
      "SERVICE_START_FAILED",
      `The image "${name}" of ${options.service.name} is not usable.`,
      {
        hint: "Correct the image's name in the compose file.",
        details: { service: options.service.name },
        cause: error,
      },
    );
  }
}

const HOURS: Readonly<Record<string, number>> = { daily: 24, weekly: 7 * 24 };
const HOUR_MS = 3_600_000;

/**
 * Age at which an image is pulled again, in milliseconds; infinite for the policies `missing`, `never` and `build`. An
 * engine that does not report the age of its images pulls missing ones only.
 */
function pullAge(policy: string | undefined): number {
  if (policy === "always") return 0;
  if (policy === undefined) return Number.POSITIVE_INFINITY;
  const every = parseDuration(/^every_(.+)$/.exec(policy)?.[1] ?? "");
  return every ?? (HOURS[policy] ?? Number.POSITIVE_INFINITY) * HOUR_MS;
}

/** The service's platform where it differs from the engine's. */
function foreignPlatform({ engine, service }: Pick<EnsureOptions, "engine" | "service">): string | undefined {
  const { platform } = service;
  return platform === undefined || platformOf(platform) === engine.info.platform ? undefined : platform;
}

async function pulled(options: EnsureOptions, name: string): Promise<Image> {
  const { engine, service, env, retry, signal, phase, notice } = options;
  const { pullPolicy } = service;
  const platform = foreignPlatform(options);
  const matching = async (): Promise<Image | null> => {
    const image = await present(options, name);
    const other = image !== null && platform !== undefined && image.platform !== platformOf(platform);
    return other ? null : image;
  };
  const before = await matching();
  const age = before === null || before.taggedAt === null ? 0 : Date.now() - before.taggedAt;
  if (before !== null && (options.renew === false || age < pullAge(pullPolicy))) return before;
  if (pullPolicy === "never")
    throw new StackwardenError("SERVICE_START_FAILED", `${service.name}: the engine does not have the image ${name}.`, {
      hint: "Build or load it, or remove `pull_policy: never`.",
      details: { service: service.name },
    });
  return pulls.run([`${engine.address.host} ${name}`], async () => {
    const meanwhile = await matching();
    if (meanwhile !== null && (before === null || meanwhile.id !== before.id)) return meanwhile;
    notice("pulling", `${service.name}: pulling ${name}.`);
    const { pull } = await import("./pull.js");
    try {
      await pull({
        engine,
        image: name,
        ...(platform === undefined ? {} : { platform }),
        service: service.name,
        env,
        retry,
        signal,
        phase,
        retrying: (message) => notice("retrying", message),
      });
    } catch (error) {
      signal.throwIfAborted();
      if (before === null) throw error;
      notice("warning", `${(error as Error).message} The image that the engine has is used.`);
      return before;
    }
    const image = await matching();
    if (image !== null) return image;
    throw new StackwardenError(
      "SERVICE_START_FAILED",
      `${service.name}: the image ${name} is missing after its pull.`,
      {
        hint: "The engine removed it again; free space on its disk.",
        details: { service: service.name },
      },
    );
  });
}

/** @throws INVALID_STACK, SERVICE_START_FAILED, RUNTIME_UNAVAILABLE, the signal's reason */
export async function ensureImage(options: EnsureOptions): Promise<Image> {
  const { engine, identity, service, secrets, signal } = options;
  if (service.build === undefined) {
    if (service.image !== undefined) return pulled(options, service.image);
    throw new StackwardenError("INVALID_STACK", `The service "${service.name}" has no image and no build.`, {
      hint: `Add services.${service.name}.image or services.${service.name}.build.`,
    });
  }
  const { buildImage } = await import("./build.js");
  const platform = foreignPlatform(options);
  const tag = buildTag(identity, builderOf(service));
  const id = await buildImage({
    ...options,
    build: service.build,
    secrets: Object.fromEntries(
      (service.build.secrets ?? []).flatMap(({ source, target }) =>
        secrets[source] === undefined ? [] : [[target, secrets[source]]],
      ),
    ),
    ...(platform === undefined ? {} : { platform }),
    tag,
    labels: stackLabels(identity),
    service: service.name,
    retrying: (message) => options.notice("retrying", message),
  });
  return inspectImage(engine, id, { name: tag, built: true, signal });
}
