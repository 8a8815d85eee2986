/** Creates the missing folders that a service binds, as Docker does, before the engine mounts them. */
import { relative } from "node:path";
import { StackwardenError } from "../../../errors.js";
import type { BindMount, ServiceDefinition, StackDefinition } from "../../../stack/definition/types.js";
import { giveFolderBeneath, makeFolderBeneath } from "../../../system/make-folder-beneath.js";
import { statBeneath } from "../../../system/read-regular-file.js";
import { realPath } from "../../../system/real-path.js";
import { replaceable } from "../container/pinned-binds.js";
import type { UserIds } from "../container/user-ids.js";

const missing = ({ source, createHostPath, outside }: BindMount, service: string): StackwardenError =>
  new StackwardenError("SERVICE_START_FAILED", `${service}: nothing exists at ${source}, which it binds.`, {
    hint:
      createHostPath === false
        ? "Create the folder or file; the compose file forbids creating it (create_host_path: false)."
        : outside === true
          ? "Create the folder: stackwarden creates none outside the project."
          : "Create the folder or file.",
    details: { service },
  });

/** The engine would follow the link, wherever it leads. */
export const replaced = ({ source }: Pick<BindMount, "source">, service: string): StackwardenError =>
  new StackwardenError(
    "POLICY_VIOLATION",
    `${service}: ${source}, which it binds, was replaced by a link after the compose files were read.`,
    {
      hint: "Restore it, or call start_stack, which reads the compose files again and follows links inside the project.",
      details: { service },
    },
  );

export interface BindSourceOptions {
  service: Pick<ServiceDefinition, "name" | "mounts">;
  definition: Pick<StackDefinition, "services">;
  /** The project's folder. */
  folder: string;
  /**
   * Folders that were created for services that have not started yet. Changed: a service that could put a link there
   * starts after the folder exists.
   */
  pending: Set<string>;
}

/** @throws POLICY_VIOLATION for a source that is a link, or lies behind one, since the compose files were read */
export function refuseReplacedSources({
  service,
  definition,
}: Pick<BindSourceOptions, "service" | "definition">): void {
  const own = service.mounts.flatMap((mount) => (mount.type === "bind" ? [mount] : []));
  for (const mount of [...own, ...replaceable(service.mounts, definition)])
    if (realPath(mount.source) !== mount.source) throw replaced(mount, service.name);
}

/**
 * @returns the folders that were created for the service
 * @throws SERVICE_START_FAILED for a source that is missing and must not be created
 */
export function makeBindSources({ service, definition, folder, pending }: BindSourceOptions): string[] {
  const created: string[] = [];
  for (const mount of service.mounts) {
    if (mount.type !== "bind") continue;
    const { source, createHostPath, outside } = mount;
    if (statBeneath(source, "/") !== undefined) {
      if (pending.delete(source)) created.push(source);
      continue;
    }
    if (createHostPath === false || outside === true) throw missing(mount, service.name);
    if (makeFolderBeneath(source, folder).length > 0) created.push(source);
  }
  for (const { source, createHostPath, outside } of replaceable(service.mounts, definition))
    if (createHostPath !== false && outside !== true && makeFolderBeneath(source, folder).length > 0)
      pending.add(source);
  return created;
}

/** Gives created folders to the service's user, so that the service can write there. */
export function ownBindSources(created: readonly string[], folder: string, user: UserIds | null): string[] {
  return created.map((source) => {
    if (user !== null) giveFolderBeneath(source, folder, user);
    return `${relative(folder, source)} did not exist and was created as an empty folder, because a bind mount names it.`;
  });
}
