/** Location of a provider's data, and the credentials in its definition. */
import { join } from "node:path";
import { StackwardenError } from "../../../errors.js";
import { isRootServer } from "../../../system/root-server.js";
import { ensureDir, ownerOf } from "../files/create.js";
import { Folder } from "../files/folder.js";
import { chownTree } from "../files/own-tree.js";
import { withStorage } from "../files/storage.js";
import type { PrepareContext } from "./launch-plan.js";

const VOLUME_NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;

/**
 * Directory of a named volume.
 * @throws INVALID_INPUT for a name that is not a valid volume name
 */
export function volumePath(stateDir: string, name: string): string {
  if (!VOLUME_NAME.test(name)) {
    throw new StackwardenError("INVALID_INPUT", `"${name}" is not a volume name.`, {
      hint: "Use letters, digits, dots, dashes and underscores.",
    });
  }
  return join(stateDir, "volumes", name);
}

export interface DataFolder {
  base: string;
  /** The named volume; null for data that goes with the stack's volumes. */
  volume: string | null;
  /** The named volume, when it held no file. */
  emptyVolumes: string[];
  notes: string[];
}

/**
 * The service's data directory: that of its named volume, else a private one that is deleted together with the volumes.
 * The server owns it (0711); only the service's user can access the data directory inside it.
 * @param known whether the provider reads a mount at this path itself, for example initialisation scripts
 * @param data paths at which the image keeps its data; a folder of the project there is not used
 * @throws UNSUPPORTED for every other kind of mount
 */
export async function dataBase(
  context: PrepareContext,
  known: (target: string) => boolean = () => false,
  data: readonly string[] = [],
): Promise<DataFolder> {
  const { service } = context.request;
  const notes: string[] = [];
  const rest = service.mounts.filter(({ target, type }) => type !== "tmpfs" && !known(target));
  const volumes = rest.filter((mount) => mount.type === "volume" && !mount.readOnly);
  const others = rest.filter((mount) => {
    if (mount.type === "volume") return mount.readOnly;
    const isData = mount.type === "bind" && data.includes(mount.target.replace(/\/+$/, ""));
    if (isData) notes.push(`Its data is kept in the state directory instead of ${mount.source}.`);
    return !isData && !IGNORED_BIND.test(mount.target);
  });
  if (others.length > 0 || volumes.length > 1) {
    const what = others[0]?.target ?? volumes[1]?.target ?? "";
    throw new StackwardenError("UNSUPPORTED", `The local runtime cannot mount ${what} into "${service.name}".`, {
      hint: "Keep one named volume for its data; other files of the image need a runtime with containers.",
    });
  }
  const volume = volumes[0]?.type === "volume" ? volumes[0].source : null;
  const { stateDir } = context.stack;
  const place = volume === null ? join(stateDir, "anonymous") : join(stateDir, "volumes");
  await ensureDir(place, 0o711);
  const base = await ensureDir(volume === null ? join(place, service.name) : volumePath(stateDir, volume), 0o711);
  return { base, volume, emptyVolumes: volume !== null && (await isEmpty(base)) ? [volume] : [], notes };
}

/** @param path only the server may change its parent folders */
export async function isEmpty(path: string): Promise<boolean> {
  const folder = await Folder.open(path);
  try {
    return (await folder.names(1)).length === 0;
  } finally {
    await folder.close();
  }
}

/** Note of a database without a named volume. */
export const NO_NAMED_VOLUME = "Has no named volume: removing the stack's volumes deletes its data.";

/** The time zone is the machine's own here. */
const IGNORED_BIND = /^\/etc\/(localtime|timezone)$/;

/**
 * Changes the owner of data from an earlier user id (a lost uids.json, a server that was root before) to the current
 * one.
 */
export async function adopt(path: string, context: PrepareContext): Promise<void> {
  const owner = await ownerOf(path);
  if (owner !== null && !owner.isFolder) {
    throw new StackwardenError("STORAGE_FAILED", `The data of "${context.request.service.name}" is not a folder.`, {
      hint: "Remove the volume (stop_stack with remove_volumes), then start again.",
    });
  }
  if (owner === null || owner.uid === context.user.uid || context.user.uid < 0) return;
  if (!isRootServer()) {
    throw new StackwardenError(
      "STORAGE_FAILED",
      `The data of "${context.request.service.name}" belongs to another user.`,
      {
        hint: "Start stackwarden as the user that made it, or remove the volume.",
      },
    );
  }
  await withStorage("Changing the owner of a volume", () => chownTree(path, context.user));
}

/** A variable, or the content of the secret file that its `…_FILE` variant names (as in the official images). */
export function variable(context: PrepareContext, name: string): string | undefined {
  const { service } = context.request;
  const file = service.environment[`${name}_FILE`];
  const mounted = service.secrets.find((secret) => `/run/secrets/${secret.target}` === file);
  if (mounted !== undefined) return context.stack.definition.secrets[mounted.source];
  return service.environment[name];
}
