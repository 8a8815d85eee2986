/** Handles one `tools/call`: from raw arguments to a result that holds its content twice, structured and as text. */
import type { CallToolResult } from "@modelcontextprotocol/sdk/types.js";
import { type ErrorReport, type StackwardenError, toStackwardenError } from "../errors.js";
import { type AnyOperation, invoke } from "../operations/index.js";
import type { OperationContext } from "../operations/operation.js";
import { briefError, DETAIL_FIELD, takeDetail } from "./brief.js";
import type { McpLogger, McpServerOptions } from "./context.js";
import { UNTRUSTED } from "./untrusted.js";

export async function callTool(
  operation: AnyOperation,
  rawInput: unknown,
  context: () => Promise<OperationContext>,
  { readOnly, logger, onCall }: { readOnly: boolean; logger: McpLogger; onCall?: McpServerOptions["onCall"] },
): Promise<CallToolResult> {
  const finishCall = onCall?.(operation.name);
  let full = operation.brief === undefined;
  try {
    const { input, detail } = takeDetail(operation, rawInput);
    full = detail;
    const output = (await invoke(operation, input, context, {
      readOnly,
      extraFields: operation.brief === undefined ? [] : [DETAIL_FIELD],
    })) as Record<string, unknown>;
    finishCall?.("ok");
    return result(full || operation.brief === undefined ? output : operation.brief.of(output));
  } catch (thrown) {
    const error = toStackwardenError(thrown);
    finishCall?.(error.code);
    logFailure(operation.name, error, logger);
    const report = error.report();
    return { ...result(full ? report : briefError(report)), isError: true };
  }
}

/**
 * Marks every result as untrusted: even the plain list of stacks holds names, notes and messages from a compose file.
 */
function result(content: Record<string, unknown> | ErrorReport): CallToolResult {
  return {
    content: [{ type: "text", text: JSON.stringify(content) }],
    structuredContent: content as Record<string, unknown>,
    _meta: UNTRUSTED,
  };
}

/** Writes details of an internal error to the server's log; the caller does not get them. */
function logFailure(operation: string, error: StackwardenError, logger: McpLogger): void {
  if (error.kind.fixedBy !== "us") {
    logger.debug(`${operation} failed: ${error.code}`, { operation, code: error.code });
    return;
  }
  const cause = error.cause instanceof Error ? (error.cause.stack ?? error.cause.message) : String(error.cause);
  logger.error(`${operation} failed: ${error.code}`, { operation, code: error.code, cause });
}
