/**
 * Selects the user of a service: the compose file's user, the owner of its source, or the image's user. Root is used
 * only where policy allows it.
 */
import { StackwardenError } from "../../../errors.js";
import type { ServiceDefinition } from "../../../stack/definition/types.js";
import { statBeneath } from "../../../system/read-regular-file.js";
import { chooseUser, isRootUser } from "../../shared/image-user.js";
import type { Image } from "../image/image.js";

export interface ContainerUser {
  /** User in the format of the Engine API. */
  user: string;
  notes: string[];
  /** True when the user is a number that the image may not define, so it has no home folder there. */
  homeless: boolean;
  /** The user is one that images of this name usually have; this image may not have it. */
  assumed?: true;
}

export interface UserOptions {
  service: ServiceDefinition;
  image: Image;
  /** True when bind mounts are folders of this machine with their owners. */
  binds: boolean;
  platform?: NodeJS.Platform;
}

/** Images of programming languages: they run the project's own program, which does not depend on a certain user. */
const LANGUAGES =
  /(?:^|\/)(?:node|python|golang|ruby|php|rust|openjdk|eclipse-temurin|bun|deno|denoland\/deno|oven\/bun|elixir|dotnet\/sdk)(?=[:@]|$)/;

const isNumeric = (user: string): boolean => /^\d+(?::\d+)?$/.test(user);

/** Owner of the first writable bind mount of a folder; null when there is none, or root owns it. */
function sourceOwner(service: ServiceDefinition): string | null {
  for (const mount of service.mounts) {
    if (mount.type !== "bind" || mount.readOnly) continue;
    const entry = statBeneath(mount.source, "/");
    if (entry?.kind === "folder" && entry.stats.uid !== 0) return `${entry.stats.uid}:${entry.stats.gid}`;
  }
  return null;
}

/** @throws POLICY_VIOLATION for root where the server's configuration does not allow it */
export async function containerUser({
  service,
  image,
  binds,
  platform = process.platform,
}: UserOptions): Promise<ContainerUser> {
  const imageUser = image.user;
  // On macOS, the engine's file sharing maps owners.
  if (service.user === undefined && binds && platform === "linux" && !service.allowRoot) {
    const own = image.built || (service.image !== undefined && LANGUAGES.test(service.image));
    const permits = own && (isRootUser(imageUser) || imageUser.replace(/:.*/, "") === "node");
    const owner = permits ? sourceOwner(service) : null;
    if (owner !== null)
      return {
        user: owner,
        homeless: true,
        notes: [
          `It runs as ${owner}, the owner of the folder that is mounted into it, so that its files stay the user's.`,
        ],
      };
  }
  const { user, note, assumed } = chooseUser(service, imageUser);
  return {
    user,
    homeless: isNumeric(user),
    notes: note === undefined ? [] : [note],
    ...(assumed === undefined ? {} : { assumed }),
  };
}

export const rootRefused = (service: string): StackwardenError =>
  new StackwardenError("POLICY_VIOLATION", `"${service}" ran as root and was ended.`, {
    hint: "Give it another user, such as 1000:1000. Only the server's own configuration (allow_root) can permit root.",
  });
