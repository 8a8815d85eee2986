/** Paths of a project: where they really lead, symbolic links resolved. */
import { realpathSync } from "node:fs";
import { isAbsolute, join, relative, resolve, sep } from "node:path";
import type { NodeReader } from "./node-reader.js";

const SOCKETS = /(?:docker|containerd|podman|crio|buildkitd|dagger)[^/]*\.sock|\/var\/run\/docker|\/run\/dagger/;

export const isBelow = (folder: string, path: string): boolean => {
  const way = relative(folder, path);
  return way === "" || (way !== ".." && !way.startsWith(`..${sep}`) && !isAbsolute(way));
};

/** The real path of what exists of `path`, with the rest appended. */
export function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    const parent = resolve(path, "..");
    return parent === path ? path : join(realPath(parent), path.slice(parent.length));
  }
}

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
  if (!isBelow(folder, path))
    return reader.policy(`leads outside the project's folder (${text})`, "Use a path below the project's folder.");
  return path;
}
