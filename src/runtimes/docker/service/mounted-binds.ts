/**
 * Checks that a started container shows the folders and files that its binds name. The engine mounts them by path: the
 * owner of a project's folder could exchange one for a link between the server's check of the path and the mount.
 */
import { readFile, stat } from "node:fs/promises";
import { normalize } from "node:path/posix";
import type Docker from "dockerode";
import type { ServiceDefinition } from "../../../stack/definition/types.js";
import { isBeneath } from "../../../system/is-beneath.js";
import { unescapeMountPath } from "../../../system/kernel-file.js";
import { statBeneath } from "../../../system/read-regular-file.js";
import type { Engine } from "../engine/engine.js";
import { replaced } from "../volumes/bind-sources.js";
import { belongsTo } from "./kernel-view.js";

export interface MountedBind {
  /** Absolute path on this machine, without links. */
  source: string;
  /** Absolute path inside the container. */
  target: string;
}

const identity = ({ dev, ino }: { dev: number; ino: number }): string => `${dev}:${ino}`;

/** What the container shows at its mount points: identities of files and folders by path. */
async function mounted(root: string, mountinfo: string): Promise<Map<string, string>> {
  const points = mountinfo.split("\n").flatMap((line) => line.split(" ")[4] ?? []);
  const shown = await Promise.all(
    points.map(async (point): Promise<[string, string][]> => {
      const path = unescapeMountPath(point);
      const stats = await stat(`${root}${path}`).catch(() => null);
      return stats === null ? [] : [[path, identity(stats)]];
    }),
  );
  return new Map(shown.flat());
}

type Inspection = Pick<Docker.ContainerInspectInfo, "Id" | "State" | "Mounts">;

/** @throws POLICY_VIOLATION when a bind of the started container shows something else than its source */
export async function refuseRedirectedBinds(
  engine: Engine,
  inspection: Inspection,
  { name, mounts }: Pick<ServiceDefinition, "name" | "mounts">,
): Promise<void> {
  if (!engine.sameMachine) return;
  // Files with secrets are mounted from a folder that only the server's user can change.
  const ofProject = (source: string) =>
    mounts.some((mount) => mount.type === "bind" && isBeneath(mount.source, source));
  const binds = inspection.Mounts.flatMap(({ Type, Source, Destination }) =>
    Type === "bind" && ofProject(Source) ? [{ source: Source, target: Destination }] : [],
  );
  const redirected = await redirectedBind(inspection.State.Pid, inspection.Id, binds);
  if (redirected !== undefined) throw replaced(redirected, name);
}

/**
 * @param pid process of the container on this machine
 * @param proc the process file system; tests pass another one
 * @returns a bind whose source now is something else than what the container shows, or lies behind a link; undefined
 * when there is none, or when this user cannot see the container's mounts
 */
export async function redirectedBind(
  pid: number,
  container: string,
  binds: readonly MountedBind[],
  proc = "/proc",
): Promise<MountedBind | undefined> {
  if (binds.length === 0 || !(await belongsTo(pid, container, proc))) return undefined;
  const mountinfo = await readFile(`${proc}/${pid}/mountinfo`, "utf8").catch(() => null);
  if (mountinfo === null) return undefined;
  const shown = await mounted(`${proc}/${pid}/root`, mountinfo);
  const anywhere = new Set(shown.values());
  const redirected = binds.find(({ source, target }) => {
    const entry = statBeneath(source, "/");
    if (entry?.path !== source) return true;
    const there = shown.get(normalize(target).replace(/(?<=.)\/$/, ""));
    // A target behind a link of the image is mounted where the link leads.
    return there === undefined ? !anywhere.has(identity(entry.stats)) : there !== identity(entry.stats);
  });
  // The mounts of a container that has ended cannot be seen.
  return redirected !== undefined && (await belongsTo(pid, container, proc)) ? redirected : undefined;
}
