/**
 * Where an app service runs: in the project's folder, so that development servers reload by themselves, or on a copy
 * when its user cannot read that folder or when something must lie beside the sources (node_modules).
 */
import { constants } from "node:fs";
import { chmod, copyFile, lstat, mkdir, open, readdir, readlink, realpath, rename, symlink } from "node:fs/promises";
import { dirname, isAbsolute, join, relative, resolve } from "node:path";
import { StackwardenError } from "../../errors.js";
import { chownTree, ensureDir, isRootServer, removeTree, withStorage } from "./state-files.js";
import type { ProcessHost, ServiceUser } from "./types.js";

/** Never copied: history, installed dependencies, caches. */
const LEFT_OUT = new Set([".git", "node_modules", ".venv", "venv", "__pycache__"]);
const MAX_FILES = 100_000;
const MAX_BYTES = 2 * 1024 ** 3;

export interface Workspace {
  /** The project's folder or the copy of it. */
  root: string;
  cwd: string;
  copied: boolean;
  notes: string[];
}

export interface WorkspaceRequest {
  folder: string;
  /** Absolute, in the folder. */
  workingDir: string;
  stateDir: string;
  service: string;
  user: ServiceUser;
  host: Pick<ProcessHost, "accessible">;
  /** Why a copy is needed in any case. */
  copyBecause?: string;
}

const inside = (path: string, root: string): boolean => {
  const inner = relative(root, path);
  return !inner.startsWith("..") && !isAbsolute(inner);
};

/** Can the user enter the working directory and read what lies directly in it? Hidden files may well be private. */
async function readable({ workingDir, user, host }: WorkspaceRequest): Promise<boolean> {
  if (!(await host.accessible(workingDir, user, "read")) || !(await host.accessible(workingDir, user, "execute"))) {
    return false;
  }
  const names = (await readdir(workingDir)).filter((name) => !name.startsWith(".") && !LEFT_OUT.has(name));
  for (const name of names.slice(0, 200)) {
    if (!(await host.accessible(join(workingDir, name), user, "read"))) return false;
  }
  return true;
}

const tooLarge = (): StackwardenError =>
  new StackwardenError("UNSUPPORTED", "The project's folder is too large to run on a copy of it.", {
    hint: "Make the folder readable for unprivileged users (chmod o+rX on it and the folders above), then no copy is needed.",
  });

/**
 * Copies what was opened, not what the path means by then: whoever can write to the project must not get the server to
 * read a file outside of it by putting a link in a file's or folder's place meanwhile.
 * @param room how many bytes it may have
 * @returns its size; 0 when it is gone or no longer a file of the project
 */
async function copyOneFile(path: string, to: string, root: string, room: number): Promise<number> {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const file = await open(path, flags).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT" || error.code === "ELOOP") return null;
    throw error;
  });
  if (file === null) return 0;
  try {
    const found = await file.stat();
    const opened = `/proc/self/fd/${file.fd}`;
    const where = await readlink(opened).catch(() => null);
    if (!found.isFile() || (where !== null && !inside(where, root))) return 0;
    if (found.size > room) throw tooLarge();
    await copyFile(where === null ? path : opened, to, constants.COPYFILE_FICLONE);
    await chmod(to, (found.mode & 0o700) | 0o600);
    return found.size;
  } finally {
    await file.close();
  }
}

/**
 * Copies a project's sources. Links that stay inside are kept, others are left out: the copy is made with the server's
 * rights and read with the service's. The folder's own `.env` is left out too; the service gets its variables already.
 */
export async function copySources(from: string, to: string, exclude: string[] = []): Promise<number> {
  let files = 0;
  let bytes = 0;
  const real = await realpath(from);
  const copy = async (source: string, target: string): Promise<void> => {
    await mkdir(target, { mode: 0o700 });
    for (const entry of await readdir(source, { withFileTypes: true })) {
      const path = join(source, entry.name);
      if (LEFT_OUT.has(entry.name) || exclude.includes(path) || path === join(from, ".env")) continue;
      const copied = join(target, entry.name);
      if (entry.isDirectory()) await copy(path, copied);
      else if (entry.isSymbolicLink()) {
        const link = await readlink(path);
        if (!isAbsolute(link) && inside(resolve(dirname(path), link), from)) await symlink(link, copied);
      } else if (entry.isFile()) {
        if (++files > MAX_FILES) throw tooLarge();
        bytes += await copyOneFile(path, copied, real, MAX_BYTES - bytes);
      }
    }
  };
  await copy(from, to);
  return files;
}

async function freshCopy(request: WorkspaceRequest): Promise<string> {
  const { stateDir, service, folder, user } = request;
  await ensureDir(join(stateDir, "work"), 0o711);
  const base = await ensureDir(join(stateDir, "work", service), 0o711);
  const building = join(base, "building");
  const final = join(base, "src");
  await withStorage("Copying the project's sources", async () => {
    await removeTree(building, stateDir);
    try {
      await copySources(folder, building, [stateDir, dirname(dirname(stateDir))]);
      await chownTree(building, user);
    } catch (error) {
      await removeTree(building, stateDir).catch(() => {});
      throw error;
    }
    // Built anew and swapped in: what was deleted from the project is gone from the copy too.
    await removeTree(final, stateDir);
    await rename(building, final);
  });
  return final;
}

/** @throws INVALID_STACK when the working directory does not exist, STORAGE_FAILED, UNSUPPORTED (too large to copy) */
export async function prepareWorkspace(request: WorkspaceRequest): Promise<Workspace> {
  const { folder, workingDir } = request;
  const found = await lstat(workingDir).catch(() => null);
  if (!inside(workingDir, folder) || found?.isDirectory() !== true) {
    throw new StackwardenError(
      "INVALID_STACK",
      `The working directory of "${request.service}" is no folder of the project.`,
      {
        hint: `Create ${relative(folder, workingDir) || "the folder"} or correct services.${request.service}.x-local.working_dir.`,
      },
    );
  }
  const because =
    request.copyBecause ??
    ((await readable(request))
      ? undefined
      : "its user cannot read the project's folder (chmod o+rX would change that)");
  if (because === undefined) return { root: folder, cwd: workingDir, copied: false, notes: [] };
  if (!isRootServer() && request.copyBecause === undefined) {
    throw new StackwardenError("STORAGE_FAILED", "The project's folder cannot be read.", {
      hint: "Make it readable for the user that runs stackwarden.",
    });
  }
  const root = await freshCopy(request);
  return {
    root,
    cwd: join(root, relative(folder, workingDir)),
    copied: true,
    notes: [`Runs on a copy of the project's folder, made anew at every start: ${because}. Restart it to see changes.`],
  };
}
