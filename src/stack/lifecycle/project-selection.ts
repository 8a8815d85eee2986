/** Which files, profiles and services of a project a stack is made of. */
import type { LoadRequest } from "../definition/types.js";
import type { StartRequest } from "../model.js";

export type ProjectSelection = Partial<Pick<LoadRequest, "files" | "profiles" | "services" | "without">>;

/**
 * What a running stack is made of after a further start. Files, profiles and left-out services hold as long as the stack
 * runs; services that a call names are added to those that run, and a call that names none means all.
 */
export function nextSelection(present: ProjectSelection, request: StartRequest): ProjectSelection {
  const files = request.files ?? present.files;
  const profiles = request.profiles ?? present.profiles;
  const services =
    request.services === undefined || request.services.length === 0
      ? undefined
      : present.services === undefined && Object.keys(present).length > 0
        ? undefined
        : [...new Set([...(present.services ?? []), ...request.services])];
  // Naming a service brings it back.
  const without = (request.without ?? present.without ?? []).filter((name) => !request.services?.includes(name));
  return {
    ...(files === undefined ? {} : { files }),
    profiles: profiles ?? [],
    ...(services === undefined ? {} : { services }),
    ...(without.length === 0 ? {} : { without }),
  };
}

/** Services to leave out so that those named stop and the others keep running. */
export const withoutAlso = (present: ProjectSelection, services: readonly string[]): string[] => [
  ...new Set([...(present.without ?? []), ...services]),
];
