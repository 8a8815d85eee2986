/**
 * Secrets as files: written to a private folder (on a memory file system when the engine runs on this machine) and
 * mounted read-only. Other users of this machine cannot enter the folder; the file itself belongs to the service's
 * user.
 */
import { chmod, chown, rm, statfs, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { storageError } from "../../../system/atomic-write.js";
import { makePrivateFolder } from "../../../system/private-socket.js";
import { identityHash, type StackIdentity } from "../leftovers/labels.js";
import type { UserIds } from "./user-ids.js";

const TMPFS = 0x01021994;

/** A memory file system in which this user can create folders; null when there is none. */
async function memoryFolder(env: NodeJS.ProcessEnv): Promise<string | null> {
  for (const folder of process.getuid?.() === 0 ? ["/run", "/dev/shm"] : [env.XDG_RUNTIME_DIR]) {
    const found = folder ? await statfs(folder).catch(() => null) : null;
    if (folder && found?.type === TMPFS) return folder;
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

/**
 * @param folder private to one instance; replaced as a whole
 * @param user null when the user id is not known: every user of the container can then read the file
 * @throws STORAGE_FAILED
 */
export async function writeSecretFiles(
  folder: string,
  files: readonly { target: string; value: string | Buffer }[],
  user: UserIds | null,
): Promise<SecretFile[]> {
  try {
    await rm(folder, { recursive: true, force: true });
    if (files.length === 0) return [];
    // Other users may create folders beside it, so each level must belong to this user.
    await makePrivateFolder(dirname(dirname(folder)));
    await makePrivateFolder(dirname(folder));
    await makePrivateFolder(folder);
    const owned = user !== null && (process.getuid?.() === 0 || process.getuid?.() === user.uid);
    return await Promise.all(
      files.map(async ({ target, value }, at) => {
        const source = join(folder, String(at));
        await writeFile(source, value, { mode: 0o600, flag: "wx" });
        if (owned && process.getuid?.() === 0) await chown(source, user.uid, user.gid);
        // Only this user can enter the folder; inside the container, the mode of the file applies.
        await chmod(source, owned ? 0o400 : 0o444);
        return { source, target: target.startsWith("/") ? target : `/run/secrets/${target}` };
      }),
    );
  } catch (error) {
    throw storageError(`${folder} cannot be written`, error);
  }
}
