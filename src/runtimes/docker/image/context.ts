/** The build context as a tar archive: the files that `.dockerignore` keeps, without files that hold secrets. */
import { constants } from "node:fs";
import { lstat, open, readdir, readlink, realpath, stat } from "node:fs/promises";
import { join, relative, resolve, sep } from "node:path";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import dockerignore from "@balena/dockerignore";
import { type Headers, type Pack, pack } from "tar-stream";
import { StackwardenError } from "../../../errors.js";
import { boundedPatterns, MOST_DEPTH } from "../../../system/ignore-patterns.js";
import { isBeneath } from "../../../system/is-beneath.js";
import type { UserIds } from "../container/user-ids.js";

export interface ContextOptions {
  /** Absolute path, below the project's folder. */
  context: string;
  /** Relative to the context, or absolute. */
  dockerfile: string;
  /** The Dockerfile's text, which replaces the file. */
  inline?: string;
  /** The project's folder. */
  folder: string;
  /** Absolute paths that are never part of an image: files with secrets, and the server's state. */
  exclude: readonly string[];
}

/** The types of the package declare a default export; at run time the module itself is the function. */
const ignore = dockerignore as unknown as typeof dockerignore.default;

const IGNORE_LIMIT = 256 * 1024;

const invalid = (message: string, hint: string): StackwardenError =>
  new StackwardenError("INVALID_STACK", message, { hint });

/**
 * @returns null when there is none
 * @throws INVALID_STACK for a file outside the project, or a file that is too large
 */
async function readIgnore(path: string, folder: string): Promise<string | null> {
  const stats = await stat(path).catch(() => null);
  if (stats?.isFile() !== true) return null;
  if (!isBeneath(folder, await realpath(path)))
    throw invalid(`${path} leads out of the project's folder.`, "Replace the link by a file.");
  if (stats.size > IGNORE_LIMIT)
    throw invalid(`${path} is larger than ${IGNORE_LIMIT / 1024} KiB.`, "Name folders in it instead of single files.");
  const file = await open(path);
  try {
    return (await file.readFile("utf8")).replace(/^\uFEFF/, "");
  } finally {
    await file.close();
  }
}

/** Name in the archive of a Dockerfile that is not part of the context. */
const ADDED = ".dockerfile.stackwarden";

/** Path of the Dockerfile in the archive. @throws INVALID_STACK when it is not below the project's folder */
async function dockerfileOf({ context, dockerfile, folder }: ContextOptions): Promise<{ path: string; name: string }> {
  const path = resolve(context, dockerfile);
  const real = await realpath(path).catch(() => null);
  if (real === null || !(await stat(real)).isFile())
    throw invalid(`The Dockerfile ${path} does not exist.`, "Correct build.dockerfile in the compose file.");
  if (!isBeneath(folder, real))
    throw invalid(`The Dockerfile ${path} is outside the project's folder.`, "Move it below the project's folder.");
  const within = relative(context, path);
  // A Dockerfile outside the context is added to the archive under a separate name, as the Docker CLI does.
  return { path: real, name: isBeneath(context, path) ? within.split(sep).join("/") : ADDED };
}

/**
 * Adds the open file instead of reading its path again: a link that replaces a file or folder meanwhile must not lead
 * the server, which may be root, out of the project.
 * @param within absolute path without links; the file must be below it
 */
async function addFile(archive: Pack, header: Omit<Headers, "size">, path: string, within: string): Promise<void> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch(() => null);
  if (file === null) return;
  try {
    const stats = await file.stat();
    const real = await realpath(`/proc/self/fd/${file.fd}`).catch(() => realpath(path));
    if (!stats.isFile() || !isBeneath(within, real)) return;
    const { size } = stats;
    const entry = archive.entry({ ...header, size });
    if (size === 0) entry.end();
    else await pipeline(file.createReadStream({ autoClose: false, start: 0, end: size - 1 }), entry);
  } finally {
    await file.close();
  }
}

export interface ArchiveOptions {
  /** Absolute path without links. */
  root: string;
  /** Absolute paths that are left out. */
  exclude: readonly string[];
  /** @param path relative to the root, with slashes */
  ignores(path: string): boolean;
  /** Whether an ignored folder can contain files that are not ignored. Default: never. */
  descends?(path: string): boolean;
  /** Folder of the archive that receives the files. Default: its root. */
  prefix?: string;
  /** Default: root. */
  owner?: UserIds;
  /** Adds entries before the folder's own. */
  first?(archive: Pack): Promise<void>;
}

/** Creates the archive of a folder while it is read. Fails when a file shrinks meanwhile. */
export function folderArchive(options: ArchiveOptions): Readable {
  const { root, exclude, ignores, descends = () => false, prefix = "", owner, first } = options;
  const archive = pack();
  const left = new Set(exclude.map((one) => resolve(one)));
  const ids = owner ?? {};
  const visit = async (at: string): Promise<void> => {
    for (const entry of (await readdir(at)).sort()) {
      const full = join(at, entry);
      if (left.has(full)) continue;
      const path = relative(root, full).split(sep).join("/");
      const ignored = ignores(path);
      const stats = await lstat(full).catch(() => null);
      if (stats === null) continue;
      const { mode, mtime } = stats;
      const header = { name: `${prefix}${path}`, mode: mode & 0o7777, mtime, ...ids };
      if (stats.isDirectory()) {
        if (!ignored) archive.entry({ ...header, name: `${header.name}/`, type: "directory" });
        if (!ignored || descends(path)) await visit(full);
      } else if (ignored) continue;
      else if (stats.isSymbolicLink()) archive.entry({ ...header, type: "symlink", linkname: await readlink(full) });
      else if (stats.isFile()) await addFile(archive, header, full, root);
    }
  };
  const fill = async (): Promise<void> => {
    await first?.(archive);
    await visit(root);
    archive.finalize();
  };
  fill().catch((error: Error) => archive.destroy(error));
  return archive;
}

/**
 * A pattern is never left out: it could keep a file with secrets out of the image.
 * @throws INVALID_STACK for patterns whose matching would block the server, and for invalid ones
 */
function matcher(listed: string): (path: string) => boolean {
  const { text, costly } = boundedPatterns(listed);
  const [pattern] = costly;
  const shown = (one: string): string => JSON.stringify(one.slice(0, 80));
  if (pattern !== undefined)
    throw invalid(
      `The pattern ${shown(pattern)} of a .dockerignore takes too long to match.`,
      "Write it with fewer wildcards: at most two in one name, and fewer **. A file may have 2,000 patterns.",
    );
  const patterns = ignore({ ignorecase: false }).add(text);
  return (path) => {
    if (path.split("/").length > MOST_DEPTH)
      throw invalid(
        `The build context has folders nested deeper than ${MOST_DEPTH}.`,
        "Remove them, or use another context.",
      );
    try {
      return patterns.ignores(path);
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      throw invalid(`A pattern of a .dockerignore is not valid: ${error.message}.`, "Correct it.");
    }
  };
}

/**
 * Creates the archive while it is read. Fails when a file shrinks meanwhile.
 * @throws INVALID_STACK
 */
export async function buildContext(options: ContextOptions): Promise<{ archive: Readable; dockerfile: string }> {
  const { context, folder, exclude } = options;
  const realContext = await realpath(context).catch(() => null);
  if (realContext === null || !(await stat(realContext)).isDirectory())
    throw invalid(`The build context ${context} is not a folder.`, "Correct build.context in the compose file.");
  if (!isBeneath(folder, realContext))
    throw invalid(
      `The build context ${context} is outside the project's folder.`,
      "Move it below the project's folder.",
    );
  const { inline } = options;
  const { path, name } = inline === undefined ? await dockerfileOf(options) : { path: null, name: ADDED };
  const listed =
    (path === null ? null : await readIgnore(`${path}.dockerignore`, folder)) ??
    (await readIgnore(join(context, ".dockerignore"), folder)) ??
    "";
  const patterns = matcher(listed);
  // Only when a pattern includes entries again can an excluded folder contain files of the context.
  const negated = /^\s*!/m.test(listed);
  const archive = folderArchive({
    root: realContext,
    exclude,
    ignores: (path) => patterns(path) && path !== name && path !== ".dockerignore",
    descends: (path) => negated || name.startsWith(`${path}/`),
    first: async (pack) => {
      if (inline !== undefined) pack.entry({ name, mode: 0o644 }, inline);
      else if (name === ADDED && path !== null) await addFile(pack, { name, mode: 0o644 }, path, folder);
    },
  });
  return { archive, dockerfile: name };
}
