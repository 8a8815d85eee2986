/** Every failure as `application/problem+json` (RFC 9457). Nothing of a defect's insides is shown. */
import type { ErrorRequestHandler, Response } from "express";
import { type ErrorCode, StackwardenError, toStackwardenError } from "../stack/errors.js";
import type { Logger } from "../stack/logger.js";

export function sendProblem(response: Response, error: StackwardenError): void {
  const { code, message, hint, retryable, details } = error.report();
  const { status, meaning } = error.kind;
  if (response.headersSent) {
    response.end();
    return;
  }
  if (code === "UNAUTHORIZED") response.setHeader("WWW-Authenticate", 'Bearer realm="stackwarden"');
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

/** What Express and its body parser throw. */
const BY_STATUS: Record<number, [ErrorCode, string]> = {
  400: ["INVALID_INPUT", "Send well-formed JSON and paths."],
  413: ["PAYLOAD_TOO_LARGE", "Send less."],
  415: ["UNSUPPORTED_MEDIA_TYPE", "Send JSON in UTF-8, uncompressed."],
};

function known(error: unknown): StackwardenError {
  if (error instanceof StackwardenError) return error;
  const { status, message } = error as { status?: number; message?: string };
  const [code, hint] = BY_STATUS[status ?? 0] ?? [];
  if (code === undefined) return toStackwardenError(error);
  // The parser's message quotes the body only by position.
  return new StackwardenError(code, status === 400 ? `The request cannot be read: ${message}.` : `${message}.`, {
    ...(hint === undefined ? {} : { hint }),
  });
}

/** Last in the chain. */
export const problems =
  (logger: Logger): ErrorRequestHandler =>
  (error, request, response, _next) => {
    const told = known(error);
    if (told.kind.fixedBy === "us")
      logger.error(`${request.method} ${request.path} failed`, { err: told.cause ?? told });
    sendProblem(response, told);
  };
