/**
 * Installed dependencies of a project, below `<project state>/deps/`:
 *
 *     environments/<hash>/            one environment; the hash covers everything that decides its content
 *     environments/<hash>.complete    its installation was finished
 *     uses/<service>                  the hash that a service uses; `<service>@<use>` when it uses several
 *     downloads/<service>/            what the installers of a service keep for the next installation
 *
 * An environment is filled by the service that needs it first and then belongs to the server, so that services with
 * equal dependencies share it and none can change what another runs. Environments that no service uses are removed.
 */
import { createHash } from "node:crypto";
import { dirname, join } from "node:path";
import { KeyedMutex } from "../../../system/keyed-mutex.js";
import { isRootServer } from "../../../system/root-server.js";
import { ensureDir, namesIn, ownerOf, restrict, writePrivateFile } from "../files/create.js";
import { sealTree } from "../files/own-tree.js";
import { readOwnFile } from "../files/read.js";
import { removeTree } from "../files/remove-tree.js";
import { treeSize } from "../files/tree-size.js";
import type { InstallContext } from "./install-context.js";

/** Downloads are removed after an installation when they hold more, in bytes. */
const MAX_DOWNLOADS = 512 * 1024 ** 2;
/** Precision with which the last use is recorded, in milliseconds. */
const RECENT_MS = 24 * 3_600_000;
/**
 * How long the dependencies of a service outside the stack are kept (for example because its profile is off), in
 * milliseconds.
 */
const ABSENT_MS = 14 * RECENT_MS;
const LAYOUT = new Set(["environments", "uses", "downloads"]);

export interface Dependencies {
  dir: string;
  installed: boolean;
}

export interface Environment {
  /** Every input that determines the content. */
  parts: string[];
  /**
   * True when the service writes into the environment, or its content depends on the service's own files: it is not
   * shared.
   */
  exclusive: boolean;
  /** Fills the directory, which belongs to the service's user during the call. */
  build(dir: string): Promise<void>;
}

export function hashOf(parts: string[]): string {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(`${part.length}:`).update(part);
  return hash.digest("hex").slice(0, 20);
}

/**
 * Locks: one for a project's folder while its entries are counted and removed, and one for each environment while it is
 * filled.
 */
const locks = new KeyedMutex();

const depsOf = ({ projectStateDir }: InstallContext): string => join(projectStateDir, "deps");

/** The directory of these dependencies; calls `build` to fill it when that has not been done yet. */
export async function dependencies(context: InstallContext, environment: Environment): Promise<Dependencies> {
  const { parts, exclusive } = environment;
  const hash = hashOf(exclusive ? [...parts, "only for", context.service] : parts);
  const root = depsOf(context);
  const dir = join(root, "environments", hash);
  await locks.run([root], () => recordUse(context, hash));
  const installed = await locks.run([dir], async () => {
    const isUsable = await usable(context, dir, exclusive);
    if (!isUsable) await install(context, environment, dir);
    return !isUsable;
  });
  await locks.run([root], async () => {
    const used = await prune(context);
    if (!exclusive) await open(context, dir, used.filter((one) => one === hash).length > 1);
  });
  return { dir, installed };
}

/**
 * Record the use before anything is removed or filled: an environment that a service is about to use must not be
 * removed.
 */
async function recordUse(context: InstallContext, hash: string): Promise<void> {
  const root = await ensureDir(depsOf(context), 0o711);
  // Before 0.2.0, each service had a separate folder here.
  for (const name of await namesIn(root)) if (!LAYOUT.has(name)) await removeTree(join(root, name), root);
  await ensureDir(join(root, "environments"), 0o711);
  const uses = await ensureDir(join(root, "uses"), 0o700);
  const name = context.use === undefined ? context.service : `${context.service}@${context.use}`;
  const path = join(uses, name);
  const recorded = await ownerOf(path);
  const isRecent = recorded !== null && Date.now() - recorded.changedAt < RECENT_MS;
  if (!isRecent || (await readOwnFile(uses, name)) !== hash) await writePrivateFile(path, hash);
}

async function usable(context: InstallContext, dir: string, exclusive: boolean): Promise<boolean> {
  const owner = exclusive || !isRootServer() ? context.user.uid : 0;
  const entry = await ownerOf(dir);
  if (entry?.isFolder !== true || (owner >= 0 && entry.uid !== owner)) return false;
  return (await ownerOf(`${dir}.complete`)) !== null;
}

async function install(context: InstallContext, { build, exclusive }: Environment, dir: string): Promise<void> {
  const environments = dirname(dir);
  context.signal.throwIfAborted();
  context.phase("installing dependencies");
  context.notice({ type: "installing", service: context.service, message: "Installing dependencies." });
  await removeTree(`${dir}.complete`, environments);
  await removeTree(dir, environments);
  await ensureDir(dir, 0o700, context.user);
  try {
    await build(dir);
    if (!exclusive) await sealTree(dir);
    await writePrivateFile(`${dir}.complete`, `${new Date().toISOString()}\n`);
  } catch (error) {
    await removeTree(dir, environments).catch(() => {});
    throw error;
  } finally {
    await boundDownloads(context).catch(() => {});
  }
}

/**
 * Permits entering: the group of the only service that uses it, or every user that knows the path when several
 * services share it.
 */
async function open(context: InstallContext, dir: string, shared: boolean): Promise<void> {
  if (!isRootServer()) return;
  await restrict(dir, shared ? 0o755 : 0o750, { uid: 0, gid: shared ? 0 : context.user.gid });
}

/**
 * Removes environments that no service uses, and files of services that have not been in the stack for some time.
 * @returns the hash that each service uses
 */
async function prune(context: InstallContext): Promise<string[]> {
  const root = depsOf(context);
  const [environments, uses, downloads] = [join(root, "environments"), join(root, "uses"), join(root, "downloads")];
  const used = new Map<string, string>();
  for (const service of await namesIn(uses)) {
    const changedAt = (await ownerOf(join(uses, service)))?.changedAt ?? 0;
    const hash = await readOwnFile(uses, service);
    const isKept = context.services.includes(service.replace(/@.*$/, "")) || Date.now() - changedAt < ABSENT_MS;
    if (isKept && hash !== null) used.set(service, hash);
    else await removeTree(join(uses, service), uses);
  }
  const hashes = new Set(used.values());
  for (const name of await namesIn(environments))
    if (!hashes.has(name.replace(/\.complete$/, "")))
      await removeTree(join(environments, name), environments).catch(() => {});
  const users = new Set([...used.keys()].map((name) => name.replace(/@.*$/, "")));
  for (const service of (await ownerOf(downloads)) === null ? [] : await namesIn(downloads))
    if (!users.has(service)) await removeTree(join(downloads, service), downloads).catch(() => {});
  return [...used.values()];
}

const downloadsOf = (context: InstallContext): string => join(depsOf(context), "downloads", context.service);

/** The download cache of the installer, owned by the service's user. */
export async function downloadCache(context: InstallContext): Promise<string> {
  const downloads = await ensureDir(join(depsOf(context), "downloads"), 0o711);
  const path = downloadsOf(context);
  const owner = await ownerOf(path);
  // The service has another user than before: it cannot write what that one left.
  if (isRootServer() && owner !== null && owner.uid !== context.user.uid) await removeTree(path, downloads);
  return ensureDir(path, 0o700, context.user);
}

async function boundDownloads(context: InstallContext): Promise<void> {
  const path = downloadsOf(context);
  if ((await ownerOf(path)) === null || (await treeSize(path)) <= MAX_DOWNLOADS) return;
  await removeTree(path, depsOf(context));
}
