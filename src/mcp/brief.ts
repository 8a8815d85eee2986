/**
 * `detail`: the field with which an agent requests the full result. It exists only in MCP; the other interfaces always
 * return the full result and the full report of an error.
 */

import * as z from "zod";
import type { ErrorReport } from "../errors.js";
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
  const hasDetail = typeof input === "object" && input !== null && Object.hasOwn(input, DETAIL_FIELD);
  if (operation.brief === undefined || !hasDetail) return { input, detail: operation.brief === undefined };
  const own = { ...(input as Record<string, unknown>) };
  const detailArguments = readArguments(schema, { [DETAIL_FIELD]: own[DETAIL_FIELD] });
  delete own[DETAIL_FIELD];
  const parsed = schema.safeParse(detailArguments);
  if (!parsed.success) throw inputError(operation.name, issuesOf(schema, parsed.error, detailArguments));
  return { input: own, detail: parsed.data[DETAIL_FIELD] as boolean };
}

/** An error's report without the valid values of its issues that its message or hint lists already. */
export function briefError(report: ErrorReport): ErrorReport {
  const { details, message, hint } = report;
  const issues: unknown = details?.issues;
  if (!Array.isArray(issues)) return report;
  const isListed = (valid: unknown): boolean =>
    typeof valid === "string" && (message.includes(valid) || hint.includes(valid));
  const shorter = issues.map(({ valid, ...issue }: { valid?: unknown }) =>
    valid === undefined || isListed(valid) ? issue : { ...issue, valid },
  );
  return { ...report, details: { ...details, issues: shorter } };
}
