/** The operations as MCP tools. The list is built once, at the first `tools/list`. */
import type { Tool } from "@modelcontextprotocol/sdk/types.js";
import * as z from "zod";
import type { AnyOperation } from "../operations/index.js";
import { DETAIL_FIELD } from "./brief.js";
import { compactInput, type JsonObject, topLevel } from "./compact-schema.js";

/** Fields of an error result; `tools/call` returns them in place of the output. */
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
    inputSchema: inputSchema(operation) as Tool["inputSchema"],
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

const DETAIL = { type: "boolean", description: "Full report." };

function inputSchema({ input, brief }: AnyOperation): JsonObject {
  const schema = compactInput(input);
  if (brief === undefined) return schema;
  return { ...schema, properties: { ...(schema.properties as JsonObject), [DETAIL_FIELD]: DETAIL } };
}

/**
 * Clients check `structuredContent` against this schema even when the result is an error or brief, so it allows all of
 * them: all fields are named, and one of the sets is required. Only the first level is described; docs/TOOLS.md has the rest.
 */
function outputSchema({ output, brief }: AnyOperation): JsonObject {
  const whole = fieldsOf(output);
  const short = brief === undefined ? whole : fieldsOf(brief.output);
  const sets = [whole.required, ...(brief === undefined ? [] : [short.required]), ERROR_REQUIRED];
  return {
    type: "object",
    properties: {
      ...either(topLevel(short.properties), topLevel(whole.properties)),
      message: { type: "string" },
      ...ERROR_PROPERTIES,
    },
    anyOf: sets.map((required) => ({ required })),
  };
}

const fieldsOf = (schema: AnyOperation["output"]) => {
  const { properties, required = [] } = z.toJSONSchema(schema, { io: "input" }) as JsonObject & {
    properties: Record<string, JsonObject>;
    required?: string[];
  };
  return { properties, required };
};

/** The union of both sets of fields; a field whose types differ accepts each of them. */
function either(first: Record<string, JsonObject>, second: Record<string, JsonObject>): Record<string, JsonObject> {
  const names = [...new Set([...Object.keys(first), ...Object.keys(second)])];
  return Object.fromEntries(names.map((name) => [name, ofTypes([first[name], second[name]])]));
}

function ofTypes(fields: (JsonObject | undefined)[]): JsonObject {
  const known = fields.filter((field) => field !== undefined);
  if (known.some(({ type }) => type === undefined)) return {};
  const types = [...new Set(known.flatMap(({ type }) => type as string | string[]))];
  return { type: types.length === 1 ? types[0] : types };
}
