/** Failures in the OpenAPI document, from the catalogue of errors. */
import { ERROR_KINDS } from "../errors.js";

type Json = Record<string, unknown>;

/** RFC 9457. */
export const PROBLEM: Json = {
  type: "object",
  required: ["type", "title", "status", "detail", "code", "hint", "retryable"],
  properties: {
    type: { type: "string", description: "`urn:stackwarden:error:` and the code." },
    title: { type: "string", description: "What the code means." },
    status: { type: "integer" },
    detail: { type: "string", description: "What was wrong." },
    code: { type: "string", enum: Object.keys(ERROR_KINDS) },
    hint: { type: "string", description: "What to do next." },
    retryable: { type: "boolean", description: "Whether the same call may succeed later." },
    details: { type: "object", description: "Machine-readable details: valid values, ports, last lines." },
  },
};

/** Each HTTP status of a failure with its codes. */
export const RESPONSES: Record<string, Json> = {};
for (const [code, { status, meaning }] of Object.entries(ERROR_KINDS)) {
  const description = `\`${code}\`: ${meaning}`;
  const before = RESPONSES[status]?.description;
  RESPONSES[status] = {
    description: before === undefined ? description : `${before}\n${description}`,
    content: { "application/problem+json": { schema: { $ref: "#/components/schemas/Problem" } } },
  };
}
