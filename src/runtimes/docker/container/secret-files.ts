/**
 * Secrets as files: written to a private folder (on a memory file system when the engine runs on this machine) and
 * mounted read-only. Other users of this machine cannot enter the folder; the file itself belongs to the service's
 * user.
 */
import { chmod, chown, rm, statfs, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type Docker from "dockerode";
import { pack } from "tar-stream";
import { StackwardenError } from "../../../errors.js";
import type { ServiceDefinition } from "../../../stack/definition/types.js";
import { storageError } from "../../../system/atomic-write.js";
import { isBeneath } from "../../../system/is-beneath.js";
import { makePrivateFolder } from "../../../system/private-socket.js";
import { isRootServer } from "../../../system/root-server.js";
import { identityHash, type StackIdentity } from "../leftovers/labels.js";
import type { UserIds } from "./user-ids.js";

const TMPFS = 0x01021994;

/** A memory file system in which this user can create folders; null when there is none. */
async function memoryFolder(env: NodeJS.ProcessEnv): Promise<string | null> {
  for (const folder of isRootServer() ? ["/run", "/dev/shm"] : [env.XDG_RUNTIME_DIR]) {
    const fileSystem = folder ? await statfs(folder).catch(() => null) : null;
    if (folder && fileSystem?.type === TMPFS) return folder;
  }
  return null;
}

export interface SecretsFolderOptions extends StackIdentity {
  /** True when the engine mounts folders of this machine, memory file systems included. */
  sameMachine: boolean;
  env: NodeJS.ProcessEnv;
}

/**
 * Folder of a project's secret files. The path is the same at every start, so that files of a killed server are
 * replaced.
 */
export async function secretsFolder({ projectId, stateDir, sameMachine, env }: SecretsFolderOptions): Promise<string> {
  const memory = sameMachine ? await memoryFolder(env) : null;
  return memory === null
    ? join(stateDir, "docker-secrets", "files")
    : join(memory, "stackwarden-secrets", `${projectId}-${identityHash({ projectId, stateDir })}`);
}

export interface SecretFile {
  /** Path on this machine. */
  source: string;
  target: string;
}

const insidePath = (target: string): string => (target.startsWith("/") ? target : `/run/secrets/${target}`);

/** The content of one file, with the owner and permissions that the compose file gives it. */
export interface SecretValue {
  target: string;
  value: string | Buffer;
  uid?: number | undefined;
  gid?: number | undefined;
  mode?: number | undefined;
}

/**
 * An engine on another machine mounts no files of this one: they are copied into the created container's own file
 * system, which is removed with it.
 * @throws UNSUPPORTED where the container would not show them
 */
export async function copySecretFiles(
  docker: Docker,
  container: string,
  service: Pick<ServiceDefinition, "name" | "readOnly" | "mounts">,
  files: readonly SecretValue[],
  user: UserIds | null,
): Promise<void> {
  if (files.length === 0) return;
  const temporary = service.mounts.filter(({ type }) => type === "tmpfs").map(({ target }) => target);
  const hidden = files.some(({ target }) => temporary.some((folder) => isBeneath(folder, insidePath(target))));
  if (service.readOnly || hidden)
    throw new StackwardenError(
      "UNSUPPORTED",
      `${service.name}: files of secrets and configs cannot be placed in a ${service.readOnly ? "read-only container" : "temporary file system"} of an engine on another machine.`,
      {
        hint: "Give the values as `environment`, or use an engine on this machine.",
        details: { service: service.name },
      },
    );
  const archive = pack();
  const folders = new Set<string>();
  for (const { target, value, uid = user?.uid, gid = user?.gid, mode } of files) {
    const parts = insidePath(target).slice(1).split("/");
    for (const at of parts.slice(0, -1).keys()) {
      const folder = `${parts.slice(0, at + 1).join("/")}/`;
      // Folders of the image keep their owner and mode; the archive has only those that a secret needs.
      if (folder.startsWith("run/secrets/") && !folders.has(folder))
        archive.entry({ name: folder, type: "directory", mode: 0o755 });
      folders.add(folder);
    }
    const owner = uid === undefined ? {} : { uid, gid: gid ?? uid };
    archive.entry(
      { name: parts.join("/"), mode: mode ?? (uid === undefined ? 0o444 : 0o400), ...owner },
      value as Buffer,
    );
  }
  archive.finalize();
  await docker.getContainer(container).putArchive(archive, { path: "/" });
}

/**
 * @param folder private to one instance; replaced as a whole
 * @param user null when the user id is not known: every user of the container can then read the file
 * @throws STORAGE_FAILED
 */
export async function writeSecretFiles(
  folder: string,
  files: readonly SecretValue[],
  user: UserIds | null,
): Promise<SecretFile[]> {
  try {
    await rm(folder, { recursive: true, force: true });
    if (files.length === 0) return [];
    // Other users may create folders beside it, so each level must belong to this user.
    await makePrivateFolder(dirname(dirname(folder)));
    await makePrivateFolder(dirname(folder));
    await makePrivateFolder(folder);
    const root = isRootServer();
    return await Promise.all(
      files.map(async ({ target, value, uid = user?.uid, gid = user?.gid, mode }, at) => {
        const source = join(folder, String(at));
        await writeFile(source, value, { mode: 0o600, flag: "wx" });
        const owned = uid !== undefined && (root || process.getuid?.() === uid);
        if (owned && root) await chown(source, uid, gid ?? uid);
        // Only this user can enter the folder; inside the container, the mode of the file applies.
        await chmod(source, owned ? (mode ?? 0o400) : (mode ?? 0) | 0o444);
        return { source, target: insidePath(target) };
      }),
    );
  } catch (error) {
    throw storageError(`${folder} cannot be written`, error);
  }
}
