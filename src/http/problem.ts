/** Reports every failure as `application/problem+json` (RFC 9457). Internals of a defect are not shown. */
import type { ErrorRequestHandler, Response } from "express";
import { type ErrorCode, StackwardenError, toStackwardenError } from "../errors.js";
import type { Logger } from "../logger.js";
import { REQUEST_NOTATION } from "./notation.js";
import type { OAuth } from "./oauth.js";

function sendProblem(response: Response, error: StackwardenError, oauth?: OAuth): void {
  const { code, message, hint, retryable, details } = error.report(REQUEST_NOTATION);
  const { status, meaning } = error.kind;
  if (response.headersSent) {
    response.end();
    return;
  }
  // A client over its limit keeps no connection: connections are limited too.
  if (code === "TOO_MANY_REQUESTS") response.setHeader("Connection", "close");
  const challenge = challengeOf(code, details?.required_scope, oauth);
  if (challenge !== null) response.setHeader("WWW-Authenticate", challenge);
  response
    .status(status)
    .type("application/problem+json")
    .send(
      JSON.stringify({
        type: `urn:stackwarden:error:${code}`,
        title: meaning,
        status,
        detail: message,
        code,
        hint,
        retryable,
        ...(details === undefined ? {} : { details }),
      }),
    );
}

/** The authentication that a client needs (RFC 6750), and where it finds the authorization server (RFC 9728). */
function challengeOf(code: ErrorCode, missing: unknown, oauth: OAuth | undefined): string | null {
  const parts = ['realm="stackwarden"'];
  const missingScope = missing === "read" || missing === "operate" ? missing : null;
  if (missingScope !== null) parts.push('error="insufficient_scope"');
  else if (code !== "UNAUTHORIZED") return null;
  if (oauth !== undefined)
    parts.push(`scope="${oauth.scopes[missingScope ?? "operate"]}"`, `resource_metadata="${oauth.metadataUrl}"`);
  return `Bearer ${parts.join(", ")}`;
}

/** Errors of Express and its body parser. */
const BY_STATUS: Record<number, [ErrorCode, string]> = {
  400: ["INVALID_INPUT", "Send well-formed JSON and paths."],
  413: ["PAYLOAD_TOO_LARGE", "Send less."],
  415: ["UNSUPPORTED_MEDIA_TYPE", "Send JSON in UTF-8, uncompressed."],
};

function asStackwardenError(error: unknown): StackwardenError {
  if (error instanceof StackwardenError) return error;
  const { status, message } = error as { status?: number; message?: string };
  const [code, hint] = BY_STATUS[status ?? 0] ?? [];
  if (code === undefined) return toStackwardenError(error);
  // The parser's message quotes the body only by position.
  return new StackwardenError(code, status === 400 ? `The request cannot be read: ${message}.` : `${message}.`, {
    ...(hint === undefined ? {} : { hint }),
  });
}

/** Middleware that must run last. */
export const problems =
  (logger: Logger, oauth?: OAuth): ErrorRequestHandler =>
  (error, request, response, _next) => {
    const failure = asStackwardenError(error);
    if (failure.kind.fixedBy === "us")
      logger.error(`${request.method} ${request.path} failed`, { err: failure.cause ?? failure });
    else if (failure.kind.status >= 500 && failure.cause !== undefined)
      logger.warn(`${request.method} ${request.path}: ${failure.message}`, { err: failure.cause });
    sendProblem(response, failure, oauth);
  };
