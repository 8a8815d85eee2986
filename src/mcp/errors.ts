/** Our errors as JSON-RPC errors, where MCP has no result to put them in (resources, prompts, completion). */
import { ErrorCode, McpError } from "@modelcontextprotocol/sdk/types.js";
import { toStackwardenError } from "../errors.js";
import { UNTRUSTED } from "./untrusted.js";

/** MCP's own code for a resource that does not exist. */
export const RESOURCE_NOT_FOUND = -32002;

export const invalidParams = (message: string, data?: unknown): McpError =>
  new McpError(ErrorCode.InvalidParams, message, data);

export const resourceNotFound = (uri: string, message: string): McpError =>
  new McpError(RESOURCE_NOT_FOUND, message, { uri });

/** A failed read: what is unknown is not found, everything else is the report in `data`. */
export function readFailure(uri: string, error: unknown): McpError {
  if (error instanceof McpError) return error;
  const known = toStackwardenError(error);
  const notFound = known.kind.status === 404;
  return new McpError(
    notFound ? RESOURCE_NOT_FOUND : ErrorCode.InternalError,
    `${known.code}: ${known.message} ${known.hint}`,
    { uri, ...known.report(), _meta: UNTRUSTED },
  );
}
