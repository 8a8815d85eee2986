/** Builds the input of an operation from path, query and body. Each field occurs once; the operation validates the values. */
import type { Request } from "express";
import { StackwardenError } from "../errors.js";

/** @throws INVALID_INPUT when a field is repeated or the body is not an object */
export function inputOf(request: Request, without: readonly string[] = []): Record<string, unknown> {
  const { id, service, snapshot } = request.params as { id?: string; service?: string; snapshot?: string };
  const input: Record<string, unknown> = Object.create(null);
  const put = (field: string, value: unknown): void => {
    if (Object.hasOwn(input, field))
      throw new StackwardenError("INVALID_INPUT", `${field} is in the path and in the query or the body.`, {
        hint: "Give the field in the path only.",
      });
    Object.defineProperty(input, field, { value, enumerable: true, configurable: true, writable: true });
  };
  if (id !== undefined) put("project", id);
  if (service !== undefined) put("service", service);
  if (snapshot !== undefined) put("snapshot", snapshot);
  if (request.method === "GET") {
    for (const [field, value] of Object.entries(request.query)) if (!without.includes(field)) put(field, value);
    return input;
  }
  const body: unknown = request.body ?? {};
  if (typeof body !== "object" || body === null || Array.isArray(body))
    throw new StackwardenError("INVALID_INPUT", "Expected a JSON object as the body.", {
      hint: "Send {} for the defaults.",
    });
  for (const [field, value] of Object.entries(body)) put(field, value);
  return input;
}
