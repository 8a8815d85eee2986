/** The REST table, from the operations' routes. Routing, scopes and the OpenAPI document all come from it. */
import { type AnyOperation, operations } from "../operations/index.js";
import type { RestRoute } from "../operations/operation.js";

export interface OperationRoute extends RestRoute {
  operation: AnyOperation;
}

export const ROUTES: readonly OperationRoute[] = operations.flatMap((operation) =>
  operation.rest.map((route) => ({ ...route, operation })),
);

/** The response of a route. That of a change begins with `success`. */
export function answerOf(
  operation: AnyOperation,
  result: Record<string, unknown>,
  input: Record<string, unknown>,
): Record<string, unknown> {
  if (operation.annotations.readOnly) return result;
  // A start or restart that ended with a service that is not up has not succeeded.
  return { success: result.status !== "degraded", project_id: input.project, ...result };
}
