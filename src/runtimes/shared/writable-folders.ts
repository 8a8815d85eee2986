/**
 * Folders that official images write to with root privileges, which their entrypoints have. Without root they are
 * mounted as temporary file systems, unless the compose file mounts something there.
 */
import { parseImageName } from "../../stack/definition/image-name.js";

const FOLDERS: Readonly<Record<string, readonly string[]>> = {
  nginx: ["/var/cache/nginx", "/run"],
  httpd: ["/usr/local/apache2/logs"],
  caddy: ["/data", "/config"],
};

/** @param taken targets of the service's own mounts */
export function writableFolders(image: string | undefined, taken: readonly string[]): string[] {
  if (image === undefined) return [];
  const { path, onDockerHub } = parseImageName(image);
  const folders = onDockerHub && Object.hasOwn(FOLDERS, path) ? FOLDERS[path] : undefined;
  return (folders ?? []).filter((folder) => !taken.includes(folder));
}
