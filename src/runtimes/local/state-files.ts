/** Directories of the state tree: who owns them, how they are filled and how they are removed without following a link. */
import { randomBytes } from "node:crypto";
import { chmod, lchown, lstat, mkdir, open, readdir, rename, rm } from "node:fs/promises";
import { dirname, isAbsolute, join, relative, sep } from "node:path";
import { StackwardenError } from "../../errors.js";
import type { ServiceUser } from "./types.js";

const FULL = new Set(["ENOSPC", "EDQUOT", "EFBIG"]);
const DENIED = new Set(["EROFS", "EACCES", "EPERM"]);

/** Only root can give files away; everybody else runs services as themselves. */
export const isRootServer = (): boolean => process.getuid?.() === 0;

const codeOf = (error: unknown): string => String((error as NodeJS.ErrnoException | null)?.code ?? "");

/** A failed file operation as STORAGE_FAILED; what is not one is given back as it is. */
export function storageFailure(error: unknown, doing: string): unknown {
  if (error instanceof StackwardenError || !(error instanceof Error)) return error;
  const code = codeOf(error);
  if (!/^E[A-Z]+$/.test(code)) return error;
  const hint = FULL.has(code)
    ? "The disk (or quota) of the state directory is full: free some space, then call again."
    : DENIED.has(code)
      ? "Make the state directory writable for the server, or choose another one with STACKWARDEN_STATE_DIR."
      : "Look at the state directory's disk, then call again.";
  return new StackwardenError("STORAGE_FAILED", `${doing} failed (${code}).`, { hint, cause: error });
}

/** Runs a step whose file errors become STORAGE_FAILED. */
export async function withStorage<T>(doing: string, step: () => Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (error) {
    throw storageFailure(error, doing);
  }
}

/**
 * Makes a directory with this mode and owner. A symbolic link in its place is refused: a service that
 * can write next to it must not send the server elsewhere.
 */
export async function ensureDir(path: string, mode: number, user?: Pick<ServiceUser, "uid" | "gid">): Promise<string> {
  await withStorage(`Making ${path}`, async () => {
    await mkdir(dirname(path), { recursive: true, mode: 0o711 });
    await mkdir(path, { mode }).catch((error: unknown) => {
      if (codeOf(error) !== "EEXIST") throw error;
    });
    const found = await lstat(path);
    if (!found.isDirectory()) {
      throw new StackwardenError("STORAGE_FAILED", `${path} is not a directory.`, {
        hint: "Something replaced a directory of the state directory: remove it, then call again.",
      });
    }
    if (isRootServer()) {
      const owner = user ?? { uid: 0, gid: 0 };
      if (found.uid !== owner.uid || found.gid !== owner.gid) await lchown(path, owner.uid, owner.gid);
    }
    if ((found.mode & 0o7777) !== mode) await chmod(path, mode);
  });
  return path;
}

/**
 * Gives a whole tree to a user; links themselves, never what they point to. A directory goes after what is in it:
 * its new owner could put a link in the place of an entry that was not handled yet.
 */
export async function chownTree(path: string, user: Pick<ServiceUser, "uid" | "gid">): Promise<void> {
  if (!isRootServer()) return;
  if ((await lstat(path)).isDirectory()) {
    const names = await readdir(path);
    await Promise.all(names.map((name) => chownTree(join(path, name), user)));
  }
  await lchown(path, user.uid, user.gid);
}

/** A file that only `user` can read. Made anew each time, so that an older one's link or mode plays no part. */
export async function writePrivateFile(
  path: string,
  text: string,
  user?: Pick<ServiceUser, "uid" | "gid">,
): Promise<string> {
  await withStorage(`Writing ${path}`, async () => {
    const fresh = `${path}.${randomBytes(6).toString("hex")}`;
    const file = await open(fresh, "wx", 0o600);
    try {
      try {
        await file.writeFile(text);
        await file.sync();
        if (user !== undefined && isRootServer()) await file.chown(user.uid, user.gid);
      } finally {
        await file.close();
      }
      await rename(fresh, path);
    } catch (error) {
      await rm(fresh, { force: true });
      throw error;
    }
  });
  return path;
}

/**
 * Removes `path` and everything in it, but only strictly below `root` and only when no component between is a link.
 * @throws STORAGE_FAILED
 */
export async function removeTree(path: string, root: string): Promise<void> {
  const inner = relative(root, path);
  if (inner === "" || inner.startsWith("..") || isAbsolute(inner)) {
    throw new StackwardenError("STORAGE_FAILED", `${path} is not below ${root}: not removed.`, {
      hint: "Name something inside of it.",
    });
  }
  await withStorage(`Removing ${path}`, async () => {
    let parent = root;
    for (const part of ["", ...inner.split(sep).slice(0, -1)]) {
      parent = join(parent, part);
      const found = await lstat(parent).catch((error: unknown) => {
        if (codeOf(error) === "ENOENT") return null;
        throw error;
      });
      if (found === null) return;
      if (!found.isDirectory()) {
        throw new StackwardenError("STORAGE_FAILED", `${parent} is not a directory: nothing was removed.`, {
          hint: "Something replaced a directory of the state directory by a link: remove the link.",
        });
      }
    }
    await rm(path, { recursive: true, force: true, maxRetries: 3, retryDelay: 50 });
  });
}

/**
 * The private places of one service, both 0700: `home` is kept, `tmp` is empty at every start. Files with passwords that
 * an instance before had, or that a killed server was just writing, go too: each start writes its own.
 */
export async function privateDirs(
  stateDir: string,
  service: string,
  user: ServiceUser,
): Promise<{ base: string; home: string; tmp: string }> {
  await ensureDir(join(stateDir, "run"), 0o711);
  const base = await ensureDir(join(stateDir, "run", service), 0o711);
  const home = await ensureDir(join(base, "home"), 0o700, user);
  const names = await withStorage(`Reading ${base}`, () => readdir(base));
  for (const name of names) if (name !== "home") await removeTree(join(base, name), stateDir);
  const tmp = await ensureDir(join(base, "tmp"), 0o700, user);
  return { base, home, tmp };
}
