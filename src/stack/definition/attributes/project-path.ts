/** Resolves paths written in compose files, including symbolic links. */
import { resolve } from "node:path";
import { isBeneath } from "../../../system/is-beneath.js";
import { realPath } from "../../../system/real-path.js";
import type { NodeReader } from "./node-reader.js";

const SOCKETS = /(?:docker|containerd|podman|crio|buildkitd|dagger)[^/]*\.sock|\/var\/run\/docker|\/run\/dagger/;

/** True when a path is a container engine's socket, or a folder that contains one. */
export const isEngineSocket = (...paths: string[]): boolean =>
  paths.some((path) => SOCKETS.test(path) || path === "/var/run" || path === "/run");

/**
 * Resolves a path written in a file to an absolute real path below the project. Other paths are recorded as policy
 * violations.
 * @param folder real path of the project's folder
 * @param hint for a path elsewhere
 */
export function projectPath(
  reader: NodeReader,
  text: string,
  folder: string,
  hint = "Use a path below the project's folder.",
): string | undefined {
  if (text.startsWith("~")) return reader.policy("is in a home folder", hint);
  const path = realPath(resolve(reader.folder, text));
  if (isEngineSocket(text, path))
    return reader.policy(
      "reaches a container engine's socket",
      "Remove it: it would give the service the whole machine. To start the other services, leave this one out (`without`).",
    );
  if (!isBeneath(folder, path)) return reader.policy(`leads outside the project's folder (${text})`, hint);
  return path;
}
