/**
 * The error catalogue: one row for every failure that a caller can cause. Interfaces translate the code (HTTP status, CLI
 * exit code, MCP `isError`). No other module defines codes.
 */

import { callTo, type Hint, hint, type Notation, renderHint, TOOL_NOTATION, toHint } from "./hint.js";

/** The party that can fix it: `caller` by another call, `operator` by configuration or setup, `service` in the project's code, `us`: a bug. */
export type FixedBy = "caller" | "operator" | "service" | "us";

export interface ErrorKind {
  /** HTTP status of the REST interface (RFC 9457 problem). */
  readonly status: number;
  /** True when the same call may succeed later without a change. */
  readonly retryable: boolean;
  readonly fixedBy: FixedBy;
  /** What the code means, for the documentation. */
  readonly meaning: string;
}

const kind = (status: number, fixedBy: FixedBy, retryable: boolean, meaning: string): ErrorKind => ({
  status,
  fixedBy,
  retryable,
  meaning,
});

export const ERROR_KINDS = {
  INVALID_INPUT: kind(400, "caller", false, "An argument is missing, of the wrong type, or outside its range."),
  INVALID_STACK: kind(400, "caller", false, "The compose file cannot be read or uses something unsupported."),
  POLICY_VIOLATION: kind(403, "operator", false, "The compose file asks for something that would break the hardening."),
  FOLDER_NOT_ALLOWED: kind(403, "operator", false, "The project's folder is not below an allowed root."),
  READ_ONLY_MODE: kind(
    403,
    "operator",
    false,
    "The server runs in read-only mode and the operation changes something.",
  ),
  CONFIRMATION_REQUIRED: kind(403, "caller", false, "The operation destroys data and was not confirmed."),
  UNAUTHORIZED: kind(401, "caller", false, "The request carries no valid bearer token."),
  FORBIDDEN: kind(403, "operator", false, "The token, the origin or the host of the request does not permit this."),
  NOT_FOUND: kind(404, "caller", false, "There is nothing at this path."),
  METHOD_NOT_ALLOWED: kind(405, "caller", false, "The path does not accept this method."),
  PAYLOAD_TOO_LARGE: kind(413, "caller", false, "The request's body is too large."),
  UNSUPPORTED_MEDIA_TYPE: kind(415, "caller", false, "The request's body is not JSON."),
  TOO_MANY_REQUESTS: kind(429, "caller", true, "Too many requests in a short time."),
  UNKNOWN_PROJECT: kind(404, "caller", false, "No project has this id."),
  UNKNOWN_SERVICE: kind(404, "caller", false, "The stack has no service of this name."),
  PROJECT_CONFLICT: kind(
    409,
    "caller",
    false,
    "Two folders use the same project id, or two project ids the same folder.",
  ),
  PROJECT_LOCKED: kind(409, "caller", true, "Another stackwarden server runs this project's stack."),
  STACK_NOT_RUNNING: kind(409, "caller", false, "The stack is not running."),
  SERVICE_NOT_STARTED: kind(409, "caller", true, "The service has not started yet."),
  STACK_RUNNING: kind(409, "caller", false, "The operation needs a stopped stack and it is running."),
  COMMAND_NOT_FOUND: kind(
    400,
    "caller",
    false,
    "The program of a command does not exist in the service or cannot be run.",
  ),
  COMMAND_NOT_ALLOWED: kind(403, "operator", false, "The operator does not allow this command."),
  UNKNOWN_SNAPSHOT: kind(404, "caller", false, "The project has no snapshot of this name."),
  SNAPSHOT_EXISTS: kind(409, "caller", false, "The project has a snapshot of this name already."),
  SNAPSHOT_BUSY: kind(409, "caller", true, "The snapshot is being saved, restored or deleted by another call."),
  SNAPSHOT_TOO_LARGE: kind(
    507,
    "operator",
    false,
    "The data is larger than snapshots may be or than the disk has room for.",
  ),
  OPERATION_CANCELLED: kind(409, "caller", true, "The caller cancelled the operation; its changes were rolled back."),
  PORT_IN_USE: kind(409, "caller", false, "A published host port is held by another process."),
  LIMIT_REFUSED: kind(400, "caller", false, "The limit is impossible or unsafe for this service."),
  LIMITS_NOT_ENFORCEABLE: kind(
    503,
    "operator",
    false,
    "Enforced limits are required and this machine cannot enforce them.",
  ),
  RESTART_BUDGET_EXCEEDED: kind(429, "service", true, "The service was restarted too often in five minutes."),
  SERVICE_START_FAILED: kind(500, "service", false, "A service exited or never became healthy."),
  START_TIMEOUT: kind(504, "service", true, "The stack did not become healthy before the deadline."),
  STOP_FAILED: kind(500, "us", true, "A service could not be stopped."),
  DEPENDENCY_INSTALL_FAILED: kind(500, "service", false, "Installing a service's dependencies failed."),
  RUNTIME_UNAVAILABLE: kind(503, "operator", true, "The runtime that should run the stack cannot be reached."),
  RUNTIME_LOST: kind(503, "operator", true, "The runtime died while the stack was running."),
  SERVER_UNAVAILABLE: kind(503, "operator", true, "The user's background server cannot be started or reached."),
  SERVER_LOST: kind(503, "operator", true, "The user's background server ended during the call."),
  SERVER_IN_USE: kind(409, "operator", true, "This user's background server is in use."),
  UNSUPPORTED: kind(400, "operator", false, "The runtime does not support this operation."),
  STORAGE_FAILED: kind(507, "operator", true, "The state directory cannot be read or written."),
  INTERNAL: kind(500, "us", false, "Internal error (a bug in stackwarden)."),
} as const satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof ERROR_KINDS;

export interface ErrorOptions {
  /** What to do next: text, or parts that name operations and settings (src/hint.ts). Default: the code's meaning. */
  hint?: string | Hint;
  /** Machine-readable detail (valid values, ports, last log lines). Must hold no secret. */
  details?: Record<string, unknown>;
  /** True when the same call may succeed later without a change. Default: that of the code. */
  retryable?: boolean;
  cause?: unknown;
}

/** What every interface shows of an error. */
export interface ErrorReport {
  code: ErrorCode;
  message: string;
  hint: string;
  retryable: boolean;
  details?: Record<string, unknown>;
}

/** The only error type that crosses a module border on purpose. */
export class StackwardenError extends Error {
  readonly code: ErrorCode;
  /** In the notation of tool calls. */
  readonly hint: string;
  /** The hint's parts, for interfaces with another notation. */
  readonly hintParts: Hint;
  readonly details: Record<string, unknown> | undefined;
  readonly retryable: boolean;

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "StackwardenError";
    this.code = code;
    this.hintParts = toHint(options.hint ?? ERROR_KINDS[code].meaning);
    this.hint = renderHint(this.hintParts, TOOL_NOTATION);
    this.details = options.details;
    this.retryable = options.retryable ?? ERROR_KINDS[code].retryable;
  }

  get kind(): ErrorKind {
    return ERROR_KINDS[this.code];
  }

  report(notation: Notation = TOOL_NOTATION): ErrorReport {
    return {
      code: this.code,
      message: this.message,
      hint: renderHint(this.hintParts, notation),
      retryable: this.retryable,
      ...(this.details === undefined ? {} : { details: this.details }),
    };
  }
}

/** A report as processes of stackwarden send it to each other: with the hint's parts. */
export interface TransferredError extends ErrorReport {
  hint_parts?: Hint;
}

export const transferError = (error: StackwardenError): TransferredError => ({
  ...error.report(),
  hint_parts: error.hintParts,
});

/** The same error with another message, hint or details. What is not given stays, as does whether a retry can help. */
export function changedError(
  error: StackwardenError,
  { message = error.message, hint = error.hintParts, details = error.details }: ErrorChange,
): StackwardenError {
  return new StackwardenError(error.code, message, {
    hint,
    retryable: error.retryable,
    cause: error.cause ?? error,
    ...(details === undefined ? {} : { details }),
  });
}

export interface ErrorChange {
  message?: string;
  hint?: string | Hint;
  details?: Record<string, unknown> | undefined;
}

/** The same error with another hint, and other details. */
export const withHint = (error: StackwardenError, hint: Hint, details = error.details): StackwardenError =>
  changedError(error, { hint, details });

/** An error that another process or thread reported. */
export function reviveError(report: TransferredError, cause?: Error): StackwardenError {
  const code: ErrorCode = Object.hasOwn(ERROR_KINDS, report.code) ? report.code : "INTERNAL";
  return new StackwardenError(code, report.message, {
    hint: report.hint_parts ?? report.hint,
    retryable: report.retryable,
    ...(report.details === undefined ? {} : { details: report.details }),
    ...(cause === undefined ? {} : { cause }),
  });
}

/** Turns anything thrown into a report; what we did not throw ourselves shows no internals. */
export function toStackwardenError(error: unknown): StackwardenError {
  if (error instanceof StackwardenError) return error;
  if (error instanceof Error && error.name === "AbortError") {
    return new StackwardenError("OPERATION_CANCELLED", "The operation was cancelled.", {
      hint: hint`Check the current state with ${callTo("health_status")}, then call again.`,
      cause: error,
    });
  }
  return new StackwardenError("INTERNAL", "stackwarden failed in an unexpected way.", {
    hint: "The server's log on stderr has the details; report it if it happens again.",
    cause: error,
  });
}
