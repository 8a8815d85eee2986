/** The operations as MCP tools. Made once, at the first `tools/list`. */
import type { Tool } from "@modelcontextprotocol/sdk/types.js";
import * as z from "zod";
import type { AnyOperation } from "../operations/index.js";
import { compactInput, type JsonObject, topLevel } from "./compact-schema.js";

/** The fields of an error result; `tools/call` answers with them in place of the output. */
const ERROR_PROPERTIES: JsonObject = {
  code: { type: "string" },
  hint: { type: "string" },
  retryable: { type: "boolean" },
  details: { type: "object" },
};
const ERROR_REQUIRED = ["code", "message", "hint", "retryable"];

const cache = new WeakMap<AnyOperation, Tool>();

export function toolOf(operation: AnyOperation): Tool {
  const known = cache.get(operation);
  if (known !== undefined) return known;
  const { name, title, description, annotations } = operation;
  const tool: Tool = {
    name,
    title,
    description,
    inputSchema: compactInput(operation.input) as Tool["inputSchema"],
    outputSchema: outputSchema(operation) as NonNullable<Tool["outputSchema"]>,
    annotations: {
      readOnlyHint: annotations.readOnly,
      destructiveHint: annotations.destructive,
      idempotentHint: annotations.idempotent,
      openWorldHint: annotations.openWorld,
    },
  };
  cache.set(operation, tool);
  return tool;
}

/**
 * Clients check `structuredContent` against this schema even when the result is an error, so it allows both: all fields
 * are named, and one of the two sets is required. Only the first level is described; docs/TOOLS.md has the rest.
 */
function outputSchema(operation: AnyOperation): JsonObject {
  const { properties, required } = z.toJSONSchema(operation.output, { io: "input" }) as JsonObject & {
    properties: Record<string, JsonObject>;
    required?: string[];
  };
  return {
    type: "object",
    properties: { ...topLevel(properties), message: { type: "string" }, ...ERROR_PROPERTIES },
    anyOf: [{ required: required ?? [] }, { required: ERROR_REQUIRED }],
  };
}
