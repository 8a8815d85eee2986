/** From a request to an operation's input: path, query and body, each field once; the schema judges the rest. */
import type { Request } from "express";
import { StackwardenError } from "../errors.js";
import type { AnyOperation } from "../operations/index.js";

/** Types of an operation's fields as JSON Schema names them, to read a query's text. */
function typeOf(operation: AnyOperation, field: string): "number" | "boolean" | "list" | "text" {
  let schema = operation.input.shape[field] as { type?: string; unwrap?(): unknown; options?: unknown[] } | undefined;
  while (schema?.unwrap !== undefined && schema.type !== "array") schema = schema.unwrap() as typeof schema;
  if (schema?.type === "number" || schema?.type === "int") return "number";
  if (schema?.type === "boolean") return "boolean";
  return schema?.type === "array" ? "list" : "text";
}

function fromText(operation: AnyOperation, field: string, value: unknown): unknown {
  const type = typeOf(operation, field);
  if (type === "list") return Array.isArray(value) ? value : [value];
  if (typeof value !== "string") return value;
  if (type === "number" && /^-?\d+(\.\d+)?$/.test(value)) return Number(value);
  if (type === "boolean" && (value === "true" || value === "false")) return value === "true";
  return value;
}

/** @throws INVALID_INPUT when a field is given twice, or the body is no object */
export function inputOf(
  request: Request,
  operation: AnyOperation,
  without: readonly string[] = [],
): Record<string, unknown> {
  const { id, service } = request.params as { id?: string; service?: string };
  const input: Record<string, unknown> = Object.create(null);
  const put = (field: string, value: unknown): void => {
    if (Object.hasOwn(input, field))
      throw new StackwardenError("INVALID_INPUT", `${field} is given twice.`, {
        hint: "What is in the path is not given again in the query or the body.",
      });
    Object.defineProperty(input, field, { value, enumerable: true, configurable: true, writable: true });
  };
  if (id !== undefined) put("project", id);
  if (service !== undefined) put("service", service);
  if (request.method === "GET") {
    for (const [field, value] of Object.entries(request.query))
      if (!without.includes(field)) put(field, fromText(operation, field, value));
    return input;
  }
  const body: unknown = request.body ?? {};
  if (typeof body !== "object" || body === null || Array.isArray(body))
    throw new StackwardenError("INVALID_INPUT", "The body is not a JSON object.", {
      hint: "Send {} for the defaults.",
    });
  for (const [field, value] of Object.entries(body)) put(field, value);
  return input;
}
