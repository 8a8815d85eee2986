/**
 * `detail`: the field with which an agent requests the full result. It exists only in MCP; the other interfaces always
 * return the full result.
 */

import * as z from "zod";
import { flag } from "../operations/fields.js";
import type { AnyOperation } from "../operations/index.js";
import { inputError, issuesOf } from "../operations/input-error.js";
import { readArguments } from "../operations/read-arguments.js";

export const DETAIL_FIELD = "detail";

const schema = z.strictObject({ [DETAIL_FIELD]: flag("").default(false) });

/**
 * @returns the operation's own input, and whether the full result was requested
 * @throws INVALID_INPUT
 */
export function takeDetail(operation: AnyOperation, input: unknown): { input: unknown; detail: boolean } {
  const asked = typeof input === "object" && input !== null && Object.hasOwn(input, DETAIL_FIELD);
  if (operation.brief === undefined || !asked) return { input, detail: operation.brief === undefined };
  const own = { ...(input as Record<string, unknown>) };
  const given = readArguments(schema, { [DETAIL_FIELD]: own[DETAIL_FIELD] });
  delete own[DETAIL_FIELD];
  const parsed = schema.safeParse(given);
  if (!parsed.success) throw inputError(operation.name, issuesOf(schema, parsed.error, given));
  return { input: own, detail: parsed.data[DETAIL_FIELD] as boolean };
}
