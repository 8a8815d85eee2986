/** Maps failures of the Engine API to errors of the catalogue. */
import { StackwardenError } from "../../../errors.js";

interface EngineFault {
  code?: unknown;
  statusCode?: unknown;
  json?: unknown;
  message?: string;
}

const CONNECTION = new Set([
  "ECONNREFUSED",
  "ECONNRESET",
  "ENOENT",
  "EACCES",
  "EPERM",
  "EPIPE",
  "ETIMEDOUT",
  "EAI_AGAIN",
  "ENOTFOUND",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ECONNABORTED",
  "ENOTSOCK",
]);

/** HTTP status of the response; null when there was none. */
export const statusOf = (error: unknown): number | null => {
  const status = (error as EngineFault | null)?.statusCode;
  return typeof status === "number" ? status : null;
};

/** The engine could not be reached, or the connection broke: the outcome of the request is unknown. */
export function isConnectionError(error: unknown): boolean {
  if (statusOf(error) !== null || !(error instanceof Error)) return false;
  const { code } = error as EngineFault;
  return (typeof code === "string" && CONNECTION.has(code)) || /socket hang up|aborted/i.test(error.message);
}

/** The engine's error message, without the client library's prefix. */
export function engineMessage(error: unknown): string {
  const { json, message } = (error ?? {}) as EngineFault;
  const own = (json as { message?: unknown; cause?: unknown } | undefined)?.message;
  const text = typeof own === "string" && own !== "" ? own : (message ?? String(error));
  return text.replace(/^\(HTTP code \d+\) [^-]* - /, "").trim();
}

export const isNotFound = (error: unknown): boolean => statusOf(error) === 404;

/** True when another process took a port between its selection and the start. */
export const isPortTaken = (error: unknown): boolean =>
  /port is already allocated|address already in use|ports are not available|bind: address|failed to bind/i.test(
    engineMessage(error),
  );

const HINTS: Record<string, string> = {
  EACCES: "Add the user to the group `docker`, or use a rootless engine; `stackwarden doctor` says more.",
  EPERM: "Add the user to the group `docker`, or use a rootless engine; `stackwarden doctor` says more.",
};

/** @param host the engine's address */
export function unreachable(host: string, error: unknown): StackwardenError {
  const { code } = (error ?? {}) as EngineFault;
  const why = typeof code === "string" ? code : engineMessage(error);
  return new StackwardenError("RUNTIME_UNAVAILABLE", `The container engine at ${host} does not answer: ${why}.`, {
    hint:
      HINTS[String(code)] ??
      "Start Docker (or Podman), or name the engine by DOCKER_HOST or `docker context use`; `stackwarden doctor` says more.",
    cause: error,
  });
}

/**
 * Maps the failure of one service's start.
 * @param doing the step in progress, for example `creating its container`
 */
export function serviceError(error: unknown, service: string, doing: string, host: string): StackwardenError {
  if (error instanceof StackwardenError) return error;
  if (isConnectionError(error)) return unreachable(host, error);
  return new StackwardenError("SERVICE_START_FAILED", `${service}: ${doing} failed: ${engineMessage(error)}`, {
    hint: "Correct the service's definition or its image, then start it again.",
    details: { service },
    cause: error,
  });
}
