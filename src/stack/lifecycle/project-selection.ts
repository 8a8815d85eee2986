/** The files, profiles and services of a project that form a stack. */
import { StackwardenError } from "../../errors.js";
import type { LoadRequest } from "../definition/types.js";
import type { StartRequest } from "../model.js";

export type ProjectSelection = Partial<Pick<LoadRequest, "files" | "profiles" | "services" | "without">>;

/**
 * The selection of a running stack after another start. Files, profiles and excluded services stay in effect until the
 * stack stops. Services that a call names are added to the running ones; a call that names none selects all.
 * @throws INVALID_INPUT for a service that the call both names and excludes
 */
export function nextSelection(present: ProjectSelection, request: StartRequest): ProjectSelection {
  const both = request.services?.find((name) => request.without?.includes(name));
  if (both !== undefined)
    throw new StackwardenError("INVALID_INPUT", `${both} is in services and in without.`, {
      hint: `Name ${both} in one of them.`,
      details: { issues: [{ field: "without", problem: `${both} is in services too` }] },
    });
  const files = request.files ?? present.files;
  const profiles = request.profiles ?? present.profiles;
  const services =
    request.services === undefined || request.services.length === 0
      ? undefined
      : present.services === undefined && Object.keys(present).length > 0
        ? undefined
        : [...new Set([...(present.services ?? []), ...request.services])];
  // A service that the call names is no longer excluded.
  const without = (request.without ?? present.without ?? []).filter((name) => !request.services?.includes(name));
  return {
    ...(files === undefined ? {} : { files }),
    profiles: profiles ?? [],
    ...(services === undefined ? {} : { services }),
    ...(without.length === 0 ? {} : { without }),
  };
}

/** The services of the next selection that earlier calls named and this one does not. */
export const namedBefore = ({ services = [] }: ProjectSelection, request: StartRequest): string[] =>
  request.services === undefined ? [] : services.filter((name) => !request.services?.includes(name));

/**
 * The selection of a running stack after a call stops `stopped` and keeps `remaining`. It selects no service that did
 * not run.
 */
export const selectionWithout = (
  present: ProjectSelection,
  stopped: readonly string[],
  remaining: readonly string[],
): ProjectSelection => ({
  ...present,
  ...(present.services === undefined ? {} : { services: [...remaining] }),
  without: [...new Set([...(present.without ?? []), ...stopped])],
});
