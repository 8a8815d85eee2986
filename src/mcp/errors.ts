/** Maps errors to JSON-RPC errors for requests without an error result (resources, prompts, completion). */
import { ErrorCode, McpError } from "@modelcontextprotocol/sdk/types.js";
import { toStackwardenError } from "../errors.js";
import { UNTRUSTED } from "./untrusted.js";

/** The MCP error code for a resource that does not exist. */
const RESOURCE_NOT_FOUND = -32002;

export const invalidParams = (message: string, data?: unknown): McpError =>
  new McpError(ErrorCode.InvalidParams, message, data);

export const resourceNotFound = (uri: string, message: string): McpError =>
  new McpError(RESOURCE_NOT_FOUND, message, { uri });

/**
 * Maps a failed read: an unknown project or service becomes "resource not found"; any other error carries its report in
 * `data`.
 */
export function readFailure(uri: string, error: unknown): McpError {
  if (error instanceof McpError) return error;
  const failure = toStackwardenError(error);
  const notFound = failure.kind.status === 404;
  return new McpError(
    notFound ? RESOURCE_NOT_FOUND : ErrorCode.InternalError,
    `${failure.code}: ${failure.message} ${failure.hint}`,
    { uri, ...failure.report(), _meta: UNTRUSTED },
  );
}
