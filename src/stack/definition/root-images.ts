/** Public images whose own init must be root: it changes owners and users, and there is no user to start them as. */
import { parseImageName } from "./image-name.js";

const NAMES = new Set([
  "gitlab/gitlab-ce",
  "gitlab/gitlab-ee",
  "gogs/gogs",
  "pihole/pihole",
  "jc21/nginx-proxy-manager",
  "mailserver/docker-mailserver",
]);

/** True for an image that cannot start as an unprivileged user. */
export function needsRoot(image: string): boolean {
  const { path, tag } = parseImageName(image);
  if (path.startsWith("linuxserver/") || NAMES.has(path)) return true;
  if (path === "gitea/gitea") return !/rootless/.test(tag ?? "");
  return path === "docker" && /dind/.test(tag ?? "");
}
