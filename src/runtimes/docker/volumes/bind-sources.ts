/** Creates the missing folders that a service binds, as Docker does, before the engine mounts them. */
import { existsSync } from "node:fs";
import { relative } from "node:path";
import { StackwardenError } from "../../../errors.js";
import type { BindMount, ServiceDefinition } from "../../../stack/definition/types.js";
import { giveFolderBeneath, makeFolderBeneath } from "../../../system/make-folder-beneath.js";
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

/**
 * @param folder the project's folder
 * @returns the bound folders that were created
 * @throws SERVICE_START_FAILED for a source that is missing and must not be created
 */
export function makeBindSources(
  { name, mounts }: Pick<ServiceDefinition, "name" | "mounts">,
  folder: string,
): string[] {
  const created: string[] = [];
  for (const mount of mounts) {
    if (mount.type !== "bind" || existsSync(mount.source)) continue;
    if (mount.createHostPath === false || mount.outside === true) throw missing(mount, name);
    if (makeFolderBeneath(mount.source, folder).length > 0) created.push(mount.source);
  }
  return created;
}

/** Gives created folders to the service's user, so that the service can write there. */
export function ownBindSources(created: readonly string[], folder: string, user: UserIds | null): string[] {
  return created.map((source) => {
    if (user !== null) giveFolderBeneath(source, folder, user);
    return `${relative(folder, source)} did not exist and was created as an empty folder, because a bind mount names it.`;
  });
}
