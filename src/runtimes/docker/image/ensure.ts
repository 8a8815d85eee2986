/** Makes the image of a service available before its container is created: builds it, pulls it, or finds it locally. */
import { StackwardenError } from "../../../errors.js";
import type { ServiceDefinition } from "../../../stack/definition/types.js";
import type { RuntimeNotice } from "../../../stack/runtime.js";
import { KeyedMutex } from "../../../system/keyed-mutex.js";
import type { Engine } from "../engine/engine.js";
import { isConnectionError, isNotFound, unreachable } from "../engine/errors.js";
import { identityHash, type StackIdentity, stackLabels } from "../leftovers/labels.js";
import { type Image, inspectImage } from "./image.js";

export interface EnsureOptions {
  engine: Engine;
  identity: StackIdentity;
  service: ServiceDefinition;
  folder: string;
  /** Files that are never part of an image. */
  exclude: readonly string[];
  env: NodeJS.ProcessEnv;
  retry: { maxRetries: number; baseDelayMs: number };
  signal: AbortSignal;
  phase(message: string): void;
  output(line: string): void;
  notice(type: RuntimeNotice["type"], message: string): void;
}

/** Pulls in progress, so that two services with the same image share one. */
const pulls = new KeyedMutex();

/** Name of the image that a service's build creates. */
export const buildTag = (identity: StackIdentity, service: string): string =>
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

async function pulled(options: EnsureOptions, name: string): Promise<Image> {
  const before = await present(options, name);
  if (before !== null) return before;
  return pulls.run([`${options.engine.address.host} ${name}`], async () => {
    const meanwhile = await present(options, name);
    if (meanwhile !== null) return meanwhile;
    const { engine, service, env, retry, signal, phase, notice } = options;
    notice("pulling", `${service.name}: pulling ${name}.`);
    const { pull } = await import("./pull.js");
    await pull({
      engine,
      image: name,
      service: service.name,
      env,
      retry,
      signal,
      phase,
      retrying: (message) => notice("retrying", message),
    });
    const image = await present(options, name);
    if (image !== null) return image;
    throw new StackwardenError(
      "SERVICE_START_FAILED",
      `${service.name}: the image ${name} is not there after its pull.`,
      {
        hint: "The engine removed it again; free space on its disk.",
        details: { service: service.name },
      },
    );
  });
}

/** @throws INVALID_STACK, SERVICE_START_FAILED, RUNTIME_UNAVAILABLE, the signal's reason */
export async function ensureImage(options: EnsureOptions): Promise<Image> {
  const { engine, identity, service, signal } = options;
  if (service.build === undefined) {
    if (service.image !== undefined) return pulled(options, service.image);
    throw new StackwardenError("INVALID_STACK", `The service "${service.name}" has no image and no build.`, {
      hint: `Add services.${service.name}.image or services.${service.name}.build.`,
    });
  }
  const { buildImage } = await import("./build.js");
  const tag = buildTag(identity, service.name);
  const id = await buildImage({
    ...options,
    build: service.build,
    tag,
    labels: stackLabels(identity),
    service: service.name,
    retrying: (message) => options.notice("retrying", message),
  });
  return inspectImage(engine, id, { name: tag, built: true, signal });
}
