/**
 * The user of a service on a root server: one of the runtime's own, or the owner of the project's folder for services
 * that run the project's programs, so that they may write where the owner may.
 */
import { StackwardenError } from "../../errors.js";
import type { Enforcement } from "../../stack/runtime.js";
import { isRootServer } from "../../system/root-server.js";
import { ownerOf } from "./files/create.js";
import { isServiceUid } from "./process/user-range.js";
import { providerOf } from "./providers/provider-of.js";
import type { ProcessHost, ServiceUser, TranslatedService } from "./types.js";

const OWNER: Enforcement = {
  level: "none",
  reason:
    "It runs as the owner of the project's folder, and may write there; its namespaces separate it from the owner's other programs.",
};

/**
 * Services of a project that belongs to root, and services without namespaces, have a separate user: without namespaces
 * a service could use everything of the owner.
 */
export async function serviceUser(
  host: ProcessHost,
  { projectId, folder }: { projectId: string; folder: string },
  service: TranslatedService,
): Promise<ServiceUser> {
  const own = await host.userFor(projectId, service.name);
  if (!isRootServer()) return { ...own, mayWrite: true };
  if (service.server !== undefined || providerOf(service) !== null) return own;
  if (host.sandboxEnforcement().level !== "enforced") return own;
  const owner = await ownerOf(folder).catch((error: unknown) => {
    // The folder is gone; the start reports it.
    if (error instanceof StackwardenError) return null;
    throw error;
  });
  if (owner === null || owner.uid === 0 || isServiceUid(owner.uid)) return own;
  return { uid: owner.uid, gid: owner.gid, name: String(owner.uid), enforcement: OWNER, mayWrite: true };
}
