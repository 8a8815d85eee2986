/** Chooses the user of a service: the compose file's, else the image's; never root by default. */
import { StackwardenError } from "../../errors.js";
import { ownUser } from "./official-images.js";

/** User of an image that would run as root and is not known. */
export const APP_USER = "1000:1000";

/** Matches root by name or number; a group without a user counts as well. */
export const isRootUser = (user: string): boolean => /^(?:root|0+)?(?::.*)?$/.test(user.trim());

/**
 * A numeric user with the group of the same number. In an image without /etc/passwd the engine cannot look up the group
 * of a numeric user and refuses it.
 */
export const withOwnGroup = (user: string): string => (/^\d+$/.test(user) ? `${user}:${user}` : user);

export interface ChosenUser {
  /** User in the format of `withUser`. */
  user: string;
  /** The user is one that images of this name usually have; this image may not have it. */
  assumed?: true;
  note?: string;
}

/**
 * @param image name in the compose file; undefined for a built image
 * @param imageUser user of the image's configuration; empty for root
 * @throws POLICY_VIOLATION when the service would run as root and the server's configuration does not allow it
 */
export function chooseUser(
  service: { name: string; image?: string; user?: string; allowRoot: boolean },
  imageUser: string,
): ChosenUser {
  const { user: requested, allowRoot } = service;
  if (requested !== undefined) {
    if (!isRootUser(requested) || allowRoot) return { user: requested };
    throw new StackwardenError("POLICY_VIOLATION", `"${service.name}" would run as root.`, {
      hint: "Give another user, such as 1000:1000. Only the server's own configuration (allow_root) can permit root.",
    });
  }
  if (!isRootUser(imageUser) || allowRoot) return { user: imageUser || "root" };
  const own = service.image === undefined ? undefined : ownUser(service.image);
  const user = own ?? APP_USER;
  return {
    user,
    ...(own === undefined ? {} : { assumed: true as const }),
    note: `Its image would run as root; it runs as ${user}. Set user in the compose file for another one.`,
  };
}
