/**
 * Named volumes, temporary file systems and the operator's binds of app services: at the container's own paths where
 * services have namespaces, else at a path of the state directory that takes their place in the command and the
 * environment.
 */
import { basename, dirname, join, relative, sep } from "node:path";
import type { BindMount, Mount, ServiceDefinition, TmpfsMount, VolumeMount } from "../../../stack/definition/types.js";
import { isBeneath } from "../../../system/is-beneath.js";
import { isRootServer } from "../../../system/root-server.js";
import { ensureDir, ownerOf } from "../files/create.js";
import { ensureMountPoint } from "../files/mount-point.js";
import { claimTree, SHARED_MODE, shareTree } from "../files/own-tree.js";
import { withStorage } from "../files/storage.js";
import type { SandboxMount } from "../process/sandbox.js";
import { serviceUser } from "../service-user.js";
import type { LocalStartRequest, PrepareContext } from "./launch-plan.js";
import { isEmpty, volumePath } from "./provider-data.js";
import { providerOf } from "./provider-of.js";

export interface AppVolumes {
  mounts: SandboxMount[];
  /** Groups of the volumes that the service shares with others. */
  groups: number[];
  /** Named volumes that held no file. */
  emptyVolumes: string[];
  notes: string[];
  /** Replaces the container's paths of volumes that are not mounted there. */
  place(text: string): string;
}

export interface VolumePlaces {
  /** Folders of the container and the folders of this machine that stand for them. */
  folders: readonly { container: string; host: string }[];
  /** The project's folder, or its copy, in which mount points may be created. */
  root: string;
  /** Folders and programs that the service needs. */
  needed: readonly string[];
  /** Whether installed packages are there without the volume. */
  isInstalled(target: string): boolean;
}

type Mounted = VolumeMount | TmpfsMount;

const isMounted = (mount: Mount): mount is Mounted => mount.type !== "bind";

/** Names of the services that mount the volume. */
const usersOf = (services: Readonly<Record<string, ServiceDefinition>>, volume: string): ServiceDefinition[] =>
  Object.values(services).filter(({ mounts }) => mounts.some((one) => one.type === "volume" && one.source === volume));

/** The folder with the volume's files, which is never the one that databases use. */
const DATA = "data";

/**
 * Prepares a volume: the service's own, or a group's when several app services mount it.
 * @returns its folder, and the group
 */
async function prepareVolume(
  context: PrepareContext,
  volume: string,
  users: readonly ServiceDefinition[],
): Promise<{ folder: string; group: number | null }> {
  const { stack, host, user } = context;
  await ensureDir(join(stack.stateDir, "volumes"), 0o711);
  const folder = join(await ensureDir(volumePath(stack.stateDir, volume), 0o711), DATA);
  const group = users.length > 1 ? await host.groupFor(stack.projectId, volume) : null;
  const owner = await ownerOf(folder);
  if (!isRootServer()) return { folder: await ensureDir(folder, 0o700), group: null };
  if (group === null) {
    const isDone = owner?.uid === user.uid && owner.gid === user.gid && owner.mode === 0o700;
    if (owner !== null && !isDone) await withStorage("Changing the owner of a volume", () => claimTree(folder, user));
    return { folder: await ensureDir(folder, 0o700, user), group };
  }
  const uids = await Promise.all(users.map((one) => serviceUser(host, stack, one)));
  const own = [user.uid, ...uids.map(({ uid }) => uid)];
  // The owner can be a service that does not mount the volume any more.
  const isForeign = owner !== null && owner.uid !== 0 && !own.includes(owner.uid);
  if (owner !== null && (owner.gid !== group || owner.mode !== SHARED_MODE || isForeign))
    await withStorage("Giving a volume to its services", () => shareTree(folder, own, group));
  const uid = (await ownerOf(folder))?.uid ?? 0;
  return { folder: await ensureDir(folder, SHARED_MODE, { uid, gid: group }), group };
}

/** The folder of this machine that stands for a path of the container. */
function standIn({ folders }: VolumePlaces, target: string): { path: string; above: string } | null {
  const [first] = folders
    .filter(({ container }) => container !== target && isBeneath(container, target))
    .sort((a, b) => b.container.length - a.container.length);
  return first === undefined ? null : { path: join(first.host, relative(first.container, target)), above: first.host };
}

async function mountPoint(path: string, above: string, root: string, stateDir: string): Promise<string> {
  let folder = above;
  for (const name of relative(above, dirname(path)).split(sep).filter(Boolean))
    folder = await ensureMountPoint(folder, name, root, stateDir);
  return ensureMountPoint(folder, basename(path), root, stateDir);
}

const hasNamespaces = ({ host }: PrepareContext): boolean => host.sandboxEnforcement().level === "enforced";

/** Where the service sees the mount; null: nowhere. */
async function placeOf(
  context: PrepareContext,
  places: VolumePlaces,
  target: string,
  { isFolder }: { isFolder: boolean } = { isFolder: true },
): Promise<string | null> {
  const { host } = context;
  if (!hasNamespaces(context)) return null;
  const inProject = standIn(places, target);
  if (inProject !== null && isFolder && isBeneath(places.root, inProject.path))
    return mountPoint(inProject.path, inProject.above, places.root, context.stack.stateDir);
  return host.mountPlace(target, places.needed);
}

/** A folder or file that the operator's `allow_binds` opens. Without namespaces a service has the machine's own. */
async function outsideBind(
  context: PrepareContext,
  places: VolumePlaces,
  { source, target, readOnly }: BindMount,
): Promise<{ mount: SandboxMount | null; note: string | null }> {
  if (!hasNamespaces(context))
    return {
      mount: null,
      note: `${target} is not mounted: on the local runtime the service sees the machine's own file system.`,
    };
  const entry = await ownerOf(source);
  if (entry === null) return { mount: null, note: `${target} is not mounted: ${source} does not exist.` };
  const place = await placeOf(context, places, target, entry);
  const mount = { source, target: place ?? source, readOnly };
  if (mount.target === target) return { mount, note: null };
  return { mount, note: `${source} is at ${mount.target} instead of ${target}, also in its command and environment.` };
}

const PREFIX = String.raw`(?<=^|[\s=:"'(,\[]|//)`;
const SUFFIX = String.raw`(?=$|[/\s:"'),;\]])`;
const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");

export async function appVolumes(context: PrepareContext, places: VolumePlaces): Promise<AppVolumes> {
  const { service }: LocalStartRequest = context.request;
  const result: AppVolumes = { mounts: [], groups: [], emptyVolumes: [], notes: [], place: (text) => text };
  const links: { pattern: RegExp; path: string }[] = [];
  const replaced = (target: string): RegExp => new RegExp(`${PREFIX}${escaped(target)}${SUFFIX}`, "g");
  for (const bind of service.mounts) {
    if (bind.type !== "bind" || isBeneath(context.stack.folder, bind.source)) continue;
    const { mount, note } = await outsideBind(context, places, bind);
    if (note !== null) result.notes.push(note);
    if (mount === null) continue;
    result.mounts.push(mount);
    if (mount.target !== bind.target) links.push({ pattern: replaced(bind.target), path: mount.target });
  }
  for (const mount of service.mounts.filter(isMounted)) {
    const { target } = mount;
    if (places.isInstalled(target)) continue;
    const at = mount.type === "tmpfs" ? await placeOf(context, places, target) : null;
    if (mount.type === "tmpfs") {
      if (at === null) result.notes.push(`${target} is not mounted: it is a folder of this machine, if it exists.`);
      else
        result.mounts.push({
          tmpfs: true,
          target: at,
          ...(mount.sizeBytes === undefined ? {} : { sizeBytes: mount.sizeBytes }),
        });
      continue;
    }
    const users = usersOf(context.stack.definition.services, mount.source);
    const database = users.find((one) => providerOf(one) !== null);
    if (database !== undefined) {
      result.notes.push(`${target} is not mounted: the volume ${mount.source} has the data of ${database.name} alone.`);
      continue;
    }
    const { folder, group } = await prepareVolume(context, mount.source, users);
    if (group !== null) result.groups.push(group);
    if (await isEmpty(folder)) result.emptyVolumes.push(mount.source);
    const place = await placeOf(context, places, target);
    if (place !== null) {
      result.mounts.push({ source: folder, target: place, readOnly: mount.readOnly });
      if (place === target) continue;
    }
    links.push({ pattern: replaced(target), path: place ?? folder });
    if (place !== null) continue;
    result.notes.push(
      `The volume ${mount.source} is ${folder} instead of ${target}, also in its command and environment.`,
    );
  }
  result.place = (text) => links.reduce((changed, { pattern, path }) => changed.replace(pattern, () => path), text);
  return result;
}
