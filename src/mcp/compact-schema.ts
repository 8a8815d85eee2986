/**
 * Compact JSON Schemas for the tool list, which stays in the model's context for the whole session. Constraints that
 * are omitted here are still validated, and an INVALID_INPUT error names them.
 */
import * as z from "zod";

export type JsonObject = Record<string, unknown>;

/** Some model providers reject requests whose tools use `propertyNames`, `patternProperties` or `$ref`. */
const LEFT_OUT = new Set([
  "$schema",
  "pattern",
  "format",
  "minLength",
  "maxLength",
  "minItems",
  "maxItems",
  "propertyNames",
  "minimum",
]);
/** Bounds above this value are omitted: no caller exceeds them by mistake. */
const LARGEST_MAXIMUM = 10_000;
/** Enumerations longer than this are omitted; an example in the description is shorter. */
const LONGEST_ENUM = 8;

/** The input schema: an object whose fields have a type, a description, a default other than false, and few bounds. */
export function compactInput(input: z.ZodObject): JsonObject {
  const schema = z.toJSONSchema(input, { io: "input", reused: "inline" }) as JsonObject;
  return { ...compact(schema), additionalProperties: false };
}

function compact(schema: JsonObject): JsonObject {
  const result: JsonObject = {};
  for (const [key, value] of Object.entries(schema)) {
    if (LEFT_OUT.has(key) || value === false) continue;
    if (key === "maximum" && (value as number) > LARGEST_MAXIMUM) continue;
    if (key === "enum" && (value as unknown[]).length > LONGEST_ENUM) continue;
    // Not every model provider accepts `const`.
    if (key === "const") result.enum = [value];
    else result[key] = compactMember(key, value);
  }
  return result;
}

function compactMember(key: string, value: unknown): unknown {
  if (key === "properties") return mapValues(value as Record<string, JsonObject>, compact);
  if (key === "items" || key === "additionalProperties") return compact(value as JsonObject);
  if (key === "anyOf" || key === "oneOf" || key === "allOf") return (value as JsonObject[]).map(compact);
  return value;
}

/** The fields of a result, with their types only. */
export const topLevel = (properties: Record<string, JsonObject>): Record<string, JsonObject> =>
  mapValues(properties, ({ type, anyOf, $ref }) => {
    const types = ((anyOf as JsonObject[] | undefined) ?? []).map((option) => option.type ?? "object");
    if (types.length > 0) return { type: types };
    return { type: type ?? ($ref === undefined ? undefined : "object") };
  });

const mapValues = <T, R>(members: Record<string, T>, change: (member: T) => R): Record<string, R> =>
  Object.fromEntries(Object.entries(members).map(([name, member]) => [name, change(member)]));
