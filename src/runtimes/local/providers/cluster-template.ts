/**
 * An empty cluster of each version in the server's cache, from which new ones are copied: initdb takes longer than all
 * other steps of a start. A user without services creates it. Afterwards it belongs to the server: services can read it
 * and cannot change it. It holds no password.
 */
import { createHash, randomBytes } from "node:crypto";
import { basename, dirname, join } from "node:path";
import { isRootServer } from "../../../system/root-server.js";
import { raceAbort } from "../../../system/wait.js";
import { ensureDir, moveInto, namesIn, ownerOf, writePrivateFile } from "../files/create.js";
import { sealTree } from "../files/own-tree.js";
import { readOwnBytes } from "../files/read.js";
import { removeTree } from "../files/remove-tree.js";
import { once, sweepCache } from "../toolchain/postgres-binaries.js";
import type { RunResult, RunSpec, ServiceUser } from "../types.js";
import { newIdentity } from "./cluster-identity.js";
import type { PrepareContext } from "./launch-plan.js";

const CONTROL_BYTES = 8192;
/**
 * A part of the template's name. Raise it with each change of what a template contains, such as an option of initdb.
 */
const RECIPE = 1;
/** No project has this name. */
const OWNER = "stackwarden:cluster";
/** initdb offers the locales of the machine as collations. */
const LOCALES = ["/usr/lib/locale", "/usr/lib/locale/locale-archive"];

/** Runs initdb for a user, with this folder as its work folder. */
export type MakeCluster = (user: ServiceUser, work: string, signal: AbortSignal) => Promise<RunResult>;

/** @returns null where services could change the cache (they have the server's user), or PostgreSQL is not in it */
async function templatePath(bin: string, variant: string, context: PrepareContext): Promise<string | null> {
  const cache = join(context.serverStateDir, "cache");
  const binaries = dirname(bin);
  if (!isRootServer() || dirname(binaries) !== cache) return null;
  const changes = await Promise.all(LOCALES.map(async (path) => (await ownerOf(path))?.changedAt ?? 0));
  const key = createHash("sha256")
    .update(JSON.stringify([RECIPE, ...changes]))
    .digest("hex")
    .slice(0, 8);
  return join(cache, `${basename(binaries).replace("postgres", "cluster")}-${variant}-${key}`);
}

async function create(path: string, context: PrepareContext, make: MakeCluster): Promise<void> {
  const cache = dirname(path);
  await sweepCache(cache);
  const user = await context.host.userFor(OWNER, "template");
  const stage = await ensureDir(join(cache, `.${basename(path)}-${process.pid}`), 0o711);
  try {
    const work = await ensureDir(join(stage, "work"), 0o700, user);
    const { exitCode, output } = await make(user, work, new AbortController().signal);
    if (exitCode !== 0) throw new Error(output);
    const cluster = join(stage, "cluster");
    await moveInto(join(work, "pgdata"), cluster);
    await sealTree(cluster);
    await ensureDir(cluster, 0o755);
    await moveInto(cluster, path);
    // Removes the templates of earlier recipes, and for earlier locales of this machine.
    const kind = basename(path).replace(/[^-]*$/, "");
    for (const name of await namesIn(cache))
      if (name.startsWith(kind) && name !== basename(path)) await removeTree(join(cache, name), cache);
  } finally {
    await removeTree(stage, cache);
  }
}

/**
 * @param variant what initdb was asked for besides the version: it is a part of the template's name
 * @returns the template's path; null when there is none, and initdb has to run
 */
export async function clusterTemplate(
  { bin, variant }: { bin: string; variant: string },
  context: PrepareContext,
  make: MakeCluster,
): Promise<string | null> {
  const path = await templatePath(bin, variant, context);
  if (path === null) return null;
  const exists = async (): Promise<boolean> => (await ownerOf(path))?.isFolder === true;
  if (await exists()) return path;
  // Several starts may wait for it: one that is cancelled does not end it.
  const created = once(path, () => create(path, context, make)).catch((error: Error) => {
    const reason = error.message.trim().split("\n").at(-1)?.slice(0, 200);
    const message = `The empty database that new ones are copied from could not be created: ${reason}`;
    context.stack.notice({ type: "warning", service: context.request.service.name, message });
  });
  await raceAbort(created, context.request.signal);
  return (await exists()) ? path : null;
}

/** Removes a damaged template. It is renamed first, so that no other start finds a part of it. */
export async function removeTemplate(path: string): Promise<void> {
  const cache = dirname(path);
  const removed = join(cache, `.${basename(path)}-${randomBytes(4).toString("hex")}-${process.pid}`);
  await moveInto(path, removed).catch(async (error: unknown) => {
    // Another start may have removed it.
    if ((await ownerOf(path)) !== null) throw error;
  });
  await removeTree(removed, cache);
}

/**
 * Copies the template as the service's user and gives the copy an identity: the identifier's 8 bytes are at byte 24 of
 * a WAL segment. Parameters: template, copy, pg_control, identifier, then a command that is run with the copy. The copy
 * is on the disk at the end; the command writes its own changes there.
 */
const COPY = `template=$1; fresh=$2; control=$3; identifier=$4; shift 4
umask 077
cp -R "$template" "$fresh" && cat "$control" >"$fresh/global/pg_control" || exit 1
for wal in "$fresh"/pg_wal/0*; do dd if="$identifier" of="$wal" bs=8 seek=3 conv=notrunc 2>/dev/null || exit 1; done
{ sync -f "$fresh" 2>/dev/null || sync; } &
"$@" || exit 1
wait $!`;

/**
 * @param step how commands run as the service's user
 * @param use a command that changes the copy
 * @returns null when the template cannot be copied
 */
export async function copyTemplate(
  template: string,
  { host, user }: Pick<PrepareContext, "host" | "user">,
  step: Omit<RunSpec, "argv" | "stdin">,
  { work, fresh, use, stdin }: { work: string; fresh: string; use: string[]; stdin: string },
): Promise<RunResult | null> {
  const control = await readOwnBytes(join(template, "global"), "pg_control", CONTROL_BYTES);
  const identity = control === null ? null : newIdentity(control);
  if (identity === null) return null;
  const files = [
    await writePrivateFile(join(work, "control"), identity.control, user),
    await writePrivateFile(join(work, "identifier"), identity.identifier, user),
  ];
  return host.run({
    ...step,
    argv: ["/bin/sh", "-c", COPY, "copy-cluster", template, fresh, ...files, ...use],
    stdin,
  });
}

/** A password for the template, which its copies replace. */
export const throwawayPassword = (): string => randomBytes(24).toString("base64url");
