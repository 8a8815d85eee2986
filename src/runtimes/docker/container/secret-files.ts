/**
 * Secrets as files: written into a private folder, on a memory file system where the engine shares this machine, and
 * mounted read-only. The folder keeps other users of this machine out; the file itself is the service's.
 */
import { chmod, chown, rm, statfs, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { storageError } from "../../../system/atomic-write.js";
import { makePrivateFolder } from "../../../system/private-socket.js";
import { identityHash, type StackIdentity } from "../leftovers/labels.js";
import type { UserIds } from "./user-ids.js";

const TMPFS = 0x01021994;

/** A folder in memory that this user can make folders in, null where there is none. */
async function memoryFolder(env: NodeJS.ProcessEnv): Promise<string | null> {
  for (const folder of process.getuid?.() === 0 ? ["/run", "/dev/shm"] : [env.XDG_RUNTIME_DIR]) {
    const found = folder ? await statfs(folder).catch(() => null) : null;
    if (folder && found?.type === TMPFS) return folder;
  }
  return null;
}

export interface SecretsFolderOptions extends StackIdentity {
  /** The engine mounts this machine's folders, memory file systems included. */
  sameMachine: boolean;
  env: NodeJS.ProcessEnv;
}

/** Where a project's secret files lie; the same at every start, so that what a killed server left is replaced. */
export async function secretsFolder({ projectId, stateDir, sameMachine, env }: SecretsFolderOptions): Promise<string> {
  const memory = sameMachine ? await memoryFolder(env) : null;
  return memory === null
    ? join(stateDir, "docker-secrets", "files")
    : join(memory, "stackwarden-secrets", `${projectId}-${identityHash({ projectId, stateDir })}`);
}

export interface SecretFile {
  /** On this machine. */
  source: string;
  target: string;
}

/**
 * @param folder of one instance; replaced as a whole
 * @param user null where the user's number is not known: the file is then readable for every user of the container
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
    // Others may make folders beside it: each level must be this user's own.
    await makePrivateFolder(dirname(dirname(folder)));
    await makePrivateFolder(dirname(folder));
    await makePrivateFolder(folder);
    const owned = user !== null && (process.getuid?.() === 0 || process.getuid?.() === user.uid);
    return await Promise.all(
      files.map(async ({ target, value }, at) => {
        const source = join(folder, String(at));
        await writeFile(source, value, { mode: 0o600, flag: "wx" });
        if (owned && process.getuid?.() === 0) await chown(source, user.uid, user.gid);
        // Nobody but this user passes the folder; inside the container the file's own mode decides.
        await chmod(source, owned ? 0o400 : 0o444);
        return { source, target: target.startsWith("/") ? target : `/run/secrets/${target}` };
      }),
    );
  } catch (error) {
    throw storageError(`${folder} cannot be written`, error);
  }
}
