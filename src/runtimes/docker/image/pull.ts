/** Pulls an image with progress, and retries after network failures. */
import type { Readable } from "node:stream";
import { StackwardenError } from "../../../errors.js";
import { isTransient, retryMessage, withRetry } from "../../../system/retry.js";
import { isBusy, NO_IMAGE } from "../../shared/registry-faults.js";
import { credentialsFor } from "../engine/credentials.js";
import type { Engine } from "../engine/engine.js";
import { engineMessage, isConnectionError, statusOf, unreachable } from "../engine/errors.js";
import { jsonLines } from "../engine/json-lines.js";

export interface PullOptions {
  engine: Engine;
  image: string;
  /** Default: the engine's own. */
  platform?: string;
  service: string;
  env: NodeJS.ProcessEnv;
  retry: { maxRetries: number; baseDelayMs: number };
  signal: AbortSignal;
  phase(message: string): void;
  retrying(message: string): void;
}

interface PullEvent {
  id?: string;
  status?: string;
  progressDetail?: { current?: number; total?: number };
  error?: string;
}

/** Milliseconds between two progress messages. */
const APART_MS = 250;
const MB = 1_048_576;

/** Progress over all layers. */
class PullProgress {
  readonly #layers = new Map<string, { current: number; total: number }>();
  #last = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly image: string,
    private readonly phase: (message: string) => void,
  ) {}

  take({ id, status, progressDetail }: PullEvent): void {
    if (id === undefined || status !== "Downloading" || !progressDetail?.total) return;
    this.#layers.set(id, { current: progressDetail.current ?? 0, total: progressDetail.total });
    if (Date.now() - this.#last < APART_MS) return;
    this.#last = Date.now();
    let [current, total] = [0, 0];
    for (const layer of this.#layers.values()) {
      current += layer.current;
      total += layer.total;
    }
    this.phase(`pulling ${this.image}: ${Math.floor(current / MB)} of ${Math.ceil(total / MB)} MB`);
  }
}

/** Name and tag for the engine, which would pull all tags without one. */
export function splitReference(image: string): { fromImage: string; tag: string } {
  if (image.includes("@")) return { fromImage: image, tag: "" };
  const colon = image.lastIndexOf(":");
  return colon > image.lastIndexOf("/")
    ? { fromImage: image.slice(0, colon), tag: image.slice(colon + 1) }
    : { fromImage: image, tag: "latest" };
}

/** An engine responds with 500 whatever the registry's status was, so its message is examined. */
const isRetryable = (error: unknown): boolean =>
  isBusy(engineMessage(error)) || (statusOf(error) !== 500 && isTransient(error));

async function pullOnce({ engine, image, platform, env, signal, phase }: PullOptions): Promise<void> {
  phase(`pulling ${image}`);
  const auth = await credentialsFor(image, env);
  const { fromImage, tag } = splitReference(image);
  const options = {
    fromImage,
    ...(tag === "" ? {} : { tag }),
    ...(platform === undefined ? {} : { platform }),
    abortSignal: signal,
  };
  const stream = (await engine.docker.createImage(
    (auth ?? undefined) as never,
    options as never,
  )) as unknown as Readable;
  const progress = new PullProgress(image, phase);
  for await (const event of jsonLines<PullEvent>(stream)) {
    if (event.error !== undefined) throw new Error(event.error);
    progress.take(event);
  }
}

/** @throws SERVICE_START_FAILED, RUNTIME_UNAVAILABLE, the signal's reason */
export async function pull(options: PullOptions): Promise<void> {
  const { engine, image, service, retry, signal, retrying } = options;
  try {
    await withRetry(() => pullOnce(options), {
      ...retry,
      signal,
      jitter: true,
      classify: isRetryable,
      onRetry: (again) => retrying(retryMessage(`Pulling ${image} failed`, again, engineMessage(again.error))),
    });
  } catch (error) {
    signal.throwIfAborted();
    if (isConnectionError(error)) throw unreachable(engine.address.host, error);
    const message = engineMessage(error);
    if (isRetryable(error))
      throw new StackwardenError("RUNTIME_UNAVAILABLE", `${service}: pulling ${image} failed: ${message}`, {
        hint: "The registry or the network did not answer. Call again later.",
        cause: error,
      });
    const missing = NO_IMAGE.test(message) || statusOf(error) === 404;
    throw new StackwardenError("SERVICE_START_FAILED", `${service}: the image ${image} cannot be pulled: ${message}`, {
      hint: missing
        ? "Correct the image's name and tag in the compose file; for a private registry run `docker login` first."
        : "Read the message, and correct what it names.",
      details: { service },
      cause: error,
    });
  }
}
