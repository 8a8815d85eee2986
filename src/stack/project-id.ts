/** Patterns of names in requests. They are strict, so that a name is never a path, an option or a prototype key. */

/** A project's id. */
export const PROJECT_ID = /^[a-z0-9][a-z0-9_-]{0,62}$/;

/** A service's name (Compose's own pattern, without a leading dash, dot or underscore). */
export const SERVICE_NAME = /^[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}$/;

/**
 * Derives a project id from a folder's name as Compose does: in lower case, without invalid characters.
 * @returns null when the name has no valid characters
 */
export function projectIdFrom(folderName: string): string | null {
  const id = folderName
    .toLowerCase()
    .replace(/[^a-z0-9_-]+/g, "")
    .replace(/^[_-]+/, "")
    .slice(0, 63);
  return PROJECT_ID.test(id) ? id : null;
}

/** A snapshot's name. */
export const SNAPSHOT_NAME = /^[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}$/;
