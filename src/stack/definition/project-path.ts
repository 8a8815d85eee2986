/** Paths that a file writes: where they really lead, symbolic links resolved. */
import { resolve } from "node:path";
import { isBeneath } from "../../system/open-beneath.js";
import { realPath } from "../../system/real-path.js";
import type { NodeReader } from "./node-reader.js";

const SOCKETS = /(?:docker|containerd|podman|crio|buildkitd|dagger)[^/]*\.sock|\/var\/run\/docker|\/run\/dagger/;

/** Whether a path is, or holds, a container engine's socket. */
export const isEngineSocket = (...paths: string[]): boolean =>
  paths.some((path) => SOCKETS.test(path) || path === "/var/run" || path === "/run");

/**
 * A path written in a file, as an absolute real path below the project. Anything else is a policy violation.
 * @param folder the project's, real
 */
export function projectPath(reader: NodeReader, text: string, folder: string): string | undefined {
  if (text.startsWith("~")) return reader.policy("is in a home folder", "Use a path below the project's folder.");
  const path = realPath(resolve(reader.folder, text));
  if (isEngineSocket(text, path))
    return reader.policy(
      "reaches a container engine's socket",
      "Remove it: it would give the service the whole machine. To start the other services, leave this one out (`without`).",
    );
  if (!isBeneath(folder, path))
    return reader.policy(`leads outside the project's folder (${text})`, "Use a path below the project's folder.");
  return path;
}
