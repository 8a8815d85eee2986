/** Tells whether the service's user can write to the folders that it binds. */
import { relative } from "node:path";
import { StackwardenError } from "../../../errors.js";
import { holdsData } from "../../../stack/definition/source-paths.js";
import type { BindMount, ServiceDefinition } from "../../../stack/definition/types.js";
import { isBeneath } from "../../../system/is-beneath.js";
import { listBeneath } from "../../../system/list-beneath.js";
import { statBeneath } from "../../../system/read-regular-file.js";
import type { UserIds } from "../container/user-ids.js";
import type { Image } from "../image/image.js";

const OTHERS_WRITE = 0o002;
const GROUP_WRITES = 0o020;

interface Permissions {
  uid: number;
  gid: number;
  mode: number;
}

const canWrite = (stats: Permissions, { uid, gid }: UserIds): boolean =>
  uid === 0 ||
  stats.uid === uid ||
  (stats.mode & OTHERS_WRITE) !== 0 ||
  (stats.gid === gid && (stats.mode & GROUP_WRITES) !== 0);

/** A bind takes the place of a folder in which the image keeps its data, and the service has to write there. */
const isData = ({ source, target }: BindMount, image: Image, database: boolean): boolean =>
  image.volumes.some((path) => isBeneath(path, target) || isBeneath(target, path)) &&
  (database || listBeneath(source, "/", 1)?.length === 0);

/**
 * @param folder the project's folder
 * @returns a note for each bound folder that the service can only read
 * @throws SERVICE_START_FAILED for a folder of data, before anything is written
 */
export function checkBinds(service: ServiceDefinition, image: Image, folder: string, user: UserIds): string[] {
  const { name, mounts, allowRoot } = service;
  const database = !image.built && holdsData(service.image);
  return mounts.flatMap((mount) => {
    const entry = mount.type === "bind" && !mount.readOnly ? statBeneath(mount.source, "/") : undefined;
    if (mount.type !== "bind" || entry?.kind !== "folder" || canWrite(entry.stats, user)) return [];
    const { stats } = entry;
    const own = `${user.uid}:${user.gid}`;
    const shown = relative(folder, mount.source) || "The project's folder";
    const message = `${shown} belongs to ${stats.uid}:${stats.gid}: the service runs as ${own} and cannot write to ${mount.target}`;
    const root = allowRoot ? "" : `, or let the operator allow root (allow_root: [${name}])`;
    const ways = `give the folder to that user (chown ${own}), use a named volume${root}`;
    if (isData(mount, image, database))
      throw new StackwardenError("SERVICE_START_FAILED", `${name}: ${message}.`, {
        hint: `To let it write, ${ways}.`,
        details: { service: name },
      });
    // A database reads scripts and settings from other folders.
    return database ? [] : [`${message}. To let it write, ${ways}.`];
  });
}
