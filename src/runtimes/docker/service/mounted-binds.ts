/**
 * Checks that a started container has mounted the folders and files that its binds name. The engine mounts them by
 * path: the owner of a project's folder could exchange one for a link between the server's check of the path and the
 * mount.
 */
import { readFile, stat } from "node:fs/promises";
import { normalize } from "node:path/posix";
import type Docker from "dockerode";
import { StackwardenError } from "../../../errors.js";
import type { ServiceDefinition } from "../../../stack/definition/types.js";
import { isBeneath } from "../../../system/is-beneath.js";
import { unescapeMountPath } from "../../../system/kernel-file.js";
import { statBeneath } from "../../../system/read-regular-file.js";
import { realPath } from "../../../system/real-path.js";
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

/** Identities of files and folders at mount points. Null: something is mounted that this user cannot see. */
type Mounted = Map<string, string | null>;

const isMissing = (error: unknown): boolean =>
  ["ENOENT", "ENOTDIR"].includes((error as NodeJS.ErrnoException).code ?? "");

async function mounted(root: string, mountinfo: string): Promise<Mounted> {
  const points = mountinfo.split("\n").flatMap((line) => line.split(" ")[4] ?? []);
  const entries = points.map(async (point): Promise<[string, string | null][]> => {
    const path = unescapeMountPath(point);
    try {
      return [[path, identity(await stat(`${root}${path}`))]];
    } catch (error) {
      // Covered by another mount.
      return isMissing(error) ? [] : [[path, null]];
    }
  });
  return new Map((await Promise.all(entries)).flat());
}

/** Whether the container shows something else than the bind's source, as far as this user sees. */
function isRedirected({ source, target }: MountedBind, shown: Mounted): boolean {
  const entry = statBeneath(source, "/");
  if (entry?.path !== source) return true;
  const there = shown.get(normalize(target).replace(/(?<=.)\/$/, ""));
  if (there === null) return false;
  const own = identity(entry.stats);
  if (there !== undefined) return there !== own;
  // A target behind a link of the image is mounted where the link leads.
  const anywhere = [...shown.values()];
  return !anywhere.includes(null) && !anywhere.includes(own);
}

type Inspection = Pick<Docker.ContainerInspectInfo, "Id" | "State" | "Mounts">;

/**
 * Does nothing where this user cannot see the container's mounts.
 * @throws POLICY_VIOLATION, SERVICE_START_FAILED when the container shows something else than the source of a bind
 */
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
  if (redirected === undefined) return;
  if (realPath(redirected.source) !== redirected.source) throw replaced(redirected, name);
  throw new StackwardenError(
    "SERVICE_START_FAILED",
    `${name}: ${redirected.source}, which it binds, was replaced while its container started.`,
    { hint: "Start it again.", details: { service: name } },
  );
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
  const root = `${proc}/${pid}/root`;
  // The list of mounts is open to every user, the files at them are not: a container usually has another user.
  const isVisible = (): Promise<boolean> =>
    stat(`${root}/`).then(
      () => true,
      () => false,
    );
  const mountinfo = (await isVisible()) ? await readFile(`${proc}/${pid}/mountinfo`, "utf8").catch(() => null) : null;
  if (mountinfo === null) return undefined;
  const shown = await mounted(root, mountinfo);
  const redirected = binds.find((bind) => isRedirected(bind, shown));
  // The mounts of a container that has ended cannot be seen. Until its parent reaps it, it still has its control group.
  const isSure = redirected !== undefined && (await isVisible()) && (await belongsTo(pid, container, proc));
  return isSure ? redirected : undefined;
}
