/**
 * Makes PostgreSQL's binaries usable for services. The installed package may lie where unprivileged users have no
 * access (/root/…/node_modules), and it lacks its links when it was installed without scripts. It is therefore copied
 * once for each version.
 */
import { chmod, constants, copyFile, lstat, mkdir, readdir, readFile, rename, symlink } from "node:fs/promises";
import { dirname, join, normalize, relative } from "node:path";
import { StackwardenError } from "../../../errors.js";
import { executable } from "../../../system/find-program.js";
import { ensureDir } from "../files/create.js";
import { removeTree } from "../files/remove-tree.js";
import { withStorage } from "../files/storage.js";
import { findPostgresPackage, type PostgresPackage, postgresPackageName } from "./binaries.js";

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

/** Removes unfinished folders in the cache from a server that died while it filled them. */
export async function sweepCache(cache: string): Promise<void> {
  for (const name of await readdir(cache)) {
    const pid = /^\.(?:postgres|cluster)-.*-(\d+)$/.exec(name)?.[1];
    if (pid !== undefined && Number(pid) !== process.pid && !alive(Number(pid)))
      await removeTree(join(cache, name), cache);
  }
}

async function build(source: PostgresPackage, cache: string, final: string): Promise<void> {
  await ensureDir(cache, 0o755);
  await sweepCache(cache);
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

/** Joins the same work that is in progress. */
export async function once(key: string, make: () => Promise<void>): Promise<void> {
  const pending = running.get(key) ?? make();
  running.set(key, pending);
  try {
    await pending;
  } finally {
    running.delete(key);
  }
}

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
  return copied(installedPackage, join(serverStateDir, "cache"));
}

async function copied(source: PostgresPackage, cache: string): Promise<PostgresBinaries> {
  const final = join(cache, `postgres-${source.version}`);
  if ((await lstat(join(final, "bin")).catch(() => null)) === null)
    await once(final, () => withStorage("Copying PostgreSQL", () => build(source, cache, final)));
  return { bin: join(final, "bin"), version: source.version, major: source.major };
}

const VERSION_FOLDER = /^postgres-((\d+)\.\d+\.\d+.*)$/;

/** The newest version of a major that the cache holds already, or null. */
export async function cachedPostgres(serverStateDir: string, major: number): Promise<PostgresBinaries | null> {
  const cache = join(serverStateDir, "cache");
  const versions = (await readdir(cache).catch((): string[] => []))
    .flatMap((name) => VERSION_FOLDER.exec(name) ?? [])
    .filter((_, at) => at % 3 === 1);
  const [version] = versions
    .filter((one) => Number.parseInt(one, 10) === major)
    .sort((a, b) => b.localeCompare(a, "en", { numeric: true }));
  return version === undefined ? null : { bin: join(cache, `postgres-${version}`, "bin"), version, major };
}

/** Runs npm to its end and returns what it prints. */
export type Npm = (args: string[], cwd: string) => Promise<string>;

/** Majors that are published for this platform. */
export const PUBLISHED_MAJORS: readonly number[] = [14, 15, 16, 17, 18];

/**
 * Downloads the newest package of a major version into the cache. npm verifies the integrity that the registry states.
 * @throws RUNTIME_UNAVAILABLE when it is not published or cannot be downloaded, STORAGE_FAILED
 */
export async function downloadPostgres(
  serverStateDir: string,
  major: number,
  npm: Npm,
  progress: (version: string) => void,
): Promise<PostgresBinaries> {
  const cache = await ensureDir(join(serverStateDir, "cache"), 0o755);
  const name = postgresPackageName();
  let binaries: PostgresBinaries | undefined;
  await once(`${cache}/${major}`, async () => {
    await sweepCache(cache);
    const temporary = join(cache, `.postgres-${major}-download-${process.pid}`);
    await removeTree(temporary, cache);
    try {
      await ensureDir(temporary, 0o700);
      const version = newestOf(await npm(["view", name, "versions", "--json"], temporary), major, name);
      progress(version);
      await npm(
        [
          "install",
          "--prefix",
          temporary,
          "--no-save",
          "--ignore-scripts",
          "--no-audit",
          "--no-fund",
          `${name}@${version}`,
        ],
        temporary,
      );
      binaries = await copied({ native: join(temporary, "node_modules", name, "native"), version, major }, cache);
    } finally {
      await removeTree(temporary, cache).catch(() => {});
    }
  });
  return binaries ?? ((await cachedPostgres(serverStateDir, major)) as PostgresBinaries);
}

function newestOf(versions: string, major: number, name: string): string {
  let list: unknown;
  try {
    list = JSON.parse(versions);
  } catch {
    list = [];
  }
  const [newest] = (Array.isArray(list) ? list : [list])
    .filter((one): one is string => typeof one === "string" && Number.parseInt(one, 10) === major)
    .sort((a, b) => b.localeCompare(a, "en", { numeric: true }));
  if (newest !== undefined) return newest;
  throw new StackwardenError("RUNTIME_UNAVAILABLE", `PostgreSQL ${major} is not published as ${name}.`, {
    hint: `Use one of the published major versions, ${PUBLISHED_MAJORS.join(", ")}; or install PostgreSQL ${major} on this machine.`,
  });
}

/** Folders of PostgreSQL's programs from a system's packages. */
const systemFolders = (major: number): string[] => [
  `/usr/lib/postgresql/${major}/bin`,
  `/usr/pgsql-${major}/bin`,
  `/opt/homebrew/opt/postgresql@${major}/bin`,
  `/usr/local/opt/postgresql@${major}/bin`,
];

/** PostgreSQL of this major version from the system's packages, or null. */
export async function systemPostgres(major: number): Promise<PostgresBinaries | null> {
  for (const bin of systemFolders(major))
    if ((await executable(join(bin, "postgres"))) !== null && (await executable(join(bin, "initdb"))) !== null)
      return { bin, version: String(major), major };
  return null;
}

/** Whether an installation has an extension, by its control file. */
export async function hasExtension({ bin, major }: PostgresBinaries, extension: string): Promise<boolean> {
  const folders = [`/usr/share/postgresql/${major}`, join(bin, "..", "share", "postgresql"), join(bin, "..", "share")];
  for (const folder of folders)
    if ((await lstat(join(folder, "extension", `${extension}.control`)).catch(() => null)) !== null) return true;
  return false;
}
