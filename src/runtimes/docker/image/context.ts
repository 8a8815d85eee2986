/** The build context as a tar archive: the files that `.dockerignore` keeps, without files that hold secrets. */
import { join, relative, resolve, sep } from "node:path";
import { PassThrough, type Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import dockerignore from "@balena/dockerignore";
import { type Headers, type Pack, pack } from "tar-stream";
import { StackwardenError } from "../../../errors.js";
import { boundedPatterns, MOST_DEPTH } from "../../../system/ignore-patterns.js";
import { isBeneath } from "../../../system/is-beneath.js";
import { readRegularFile, statBeneath } from "../../../system/read-regular-file.js";
import { type TreeEntry, type TreeLimits, walkBeneath } from "../../../system/walk-beneath.js";
import { CONTEXT_HINT, CONTEXT_LIMITS, readIgnoreFile } from "../../shared/build-context.js";
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
  /** Default: CONTEXT_LIMITS. */
  limits?: TreeLimits;
}

/** The types of the package declare a default export; at run time the module itself is the function. */
const ignore = dockerignore as unknown as typeof dockerignore.default;

const invalid = (message: string, hint: string): StackwardenError =>
  new StackwardenError("INVALID_STACK", message, { hint });

/** Name in the archive of a Dockerfile that is not part of the context. */
const ADDED = ".dockerfile.stackwarden";

/**
 * The Dockerfile's real path, and its path in the archive.
 * @throws INVALID_STACK when it is missing, or not a file below the project's folder
 */
function dockerfileOf({ context, dockerfile, folder }: ContextOptions): { path: string; name: string } {
  const path = resolve(context, dockerfile);
  const entry = statBeneath(path, folder);
  if (entry?.kind !== "file")
    throw invalid(
      `The Dockerfile ${path} ${entry === undefined ? "does not exist" : "is not a regular file"}.`,
      "Correct build.dockerfile in the compose file.",
    );
  const within = relative(context, path);
  // A Dockerfile outside the context is added to the archive under a separate name, as the Docker CLI does.
  return { path: entry.path, name: isBeneath(context, path) ? within.split(sep).join("/") : ADDED };
}

export interface ArchiveOptions {
  /** Absolute path without links. */
  root: string;
  /** Folder that the root must lie in. */
  within: string;
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
  /** An entry before the folder's own. */
  first?: { name: string; content: string | Buffer };
  limits: TreeLimits;
  /** What to do about a folder that exceeds a limit. */
  hint: string;
}

/** Adds an entry; resolves when the reader of the archive wants more. */
const put = (archive: Pack, header: Headers, content: string | Buffer = Buffer.alloc(0)): Promise<void> =>
  new Promise((done, reject) => {
    const closed = (): void => reject(new Error("The archive was closed."));
    if (archive.destroyed) return closed();
    archive.once("close", closed);
    archive.entry(header, content, (error) => {
      archive.off("close", closed);
      if (error) reject(error);
      else done();
    });
  });

/** Larger files are sent while they are read. */
const WHOLE_BYTES = 1_048_576;

const changed = ({ path }: TreeEntry): StackwardenError => invalid(`${path} changed while it was read.`, "Call again.");

/** Adds the open file, because its path may lead to another one now. */
async function addFile(archive: Pack, header: Headers, entry: TreeEntry): Promise<void> {
  const { size } = entry.stats;
  if (size === 0) return put(archive, header);
  const file = await entry.open();
  try {
    if (size <= WHOLE_BYTES) {
      const content = Buffer.allocUnsafe(size);
      const { bytesRead } = await file.read(content, 0, size, 0);
      if (bytesRead !== size) throw changed(entry);
      return await put(archive, header, content);
    }
    const body = archive.entry({ ...header, size });
    const whole = async function* (source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
      let read = 0;
      for await (const chunk of source) {
        read += chunk.length;
        yield chunk;
      }
      if (read !== size) throw changed(entry);
    };
    await pipeline(file.createReadStream({ autoClose: false, start: 0, end: size - 1 }), whole, body);
  } finally {
    await file.close();
  }
}

/** Creates the archive of a folder while it is read. Fails when a file shrinks meanwhile, or a limit is exceeded. */
export function folderArchive(options: ArchiveOptions): Readable {
  const { root, within, exclude, ignores, descends = () => false, prefix = "", owner, first, limits, hint } = options;
  const archive = pack();
  const excluded = new Set(exclude.map((one) => resolve(one)));
  const ids = owner ?? {};
  const choose = (path: string): "take" | "enter" | "skip" => {
    if (excluded.has(join(root, path))) return "skip";
    if (!ignores(path)) return "take";
    return descends(path) ? "enter" : "skip";
  };
  const fill = async (): Promise<void> => {
    if (first !== undefined) await put(archive, { name: first.name, mode: 0o644 }, first.content);
    for await (const entry of walkBeneath(root, { within, limits, hint, choose })) {
      const { path, stats, link } = entry;
      const header = { name: `${prefix}${path}`, mode: stats.mode & 0o7777, mtime: stats.mtime, ...ids };
      if (stats.isDirectory()) await put(archive, { ...header, name: `${header.name}/`, type: "directory" });
      else if (link !== undefined) await put(archive, { ...header, type: "symlink", linkname: link });
      else await addFile(archive, header, entry);
    }
    archive.finalize();
  };
  // An entry that fails closes the archive without an error.
  const output = new PassThrough();
  archive.on("error", () => undefined).pipe(output);
  output.once("close", () => archive.destroy());
  fill().catch((error: Error) => output.destroy(error));
  return output;
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
 * Creates the archive while it is read. Fails when a file shrinks meanwhile, or a limit is exceeded.
 * @throws INVALID_STACK
 */
export async function buildContext(options: ContextOptions): Promise<{ archive: Readable; dockerfile: string }> {
  const { context, folder, exclude, inline, limits = CONTEXT_LIMITS } = options;
  const root = statBeneath(context, folder);
  if (root?.kind !== "folder")
    throw invalid(`The build context ${context} is not a folder.`, "Correct build.context in the compose file.");
  const { path, name } = inline === undefined ? dockerfileOf(options) : { path: null, name: ADDED };
  const added = inline ?? (name === ADDED && path !== null ? readRegularFile(path, { within: folder })?.bytes : null);
  const listed =
    (path === null ? null : readIgnoreFile(`${path}.dockerignore`, folder)) ??
    readIgnoreFile(join(context, ".dockerignore"), folder) ??
    "";
  const patterns = matcher(listed);
  // Only when a pattern includes entries again can an excluded folder contain files of the context.
  const negated = /^[ \t]*!/m.test(listed);
  const archive = folderArchive({
    root: root.path,
    within: folder,
    exclude,
    ignores: (path) => patterns(path) && path !== name && path !== ".dockerignore",
    descends: (path) => negated || name.startsWith(`${path}/`),
    ...(added === null || added === undefined ? {} : { first: { name, content: added } }),
    limits,
    hint: CONTEXT_HINT,
  });
  return { archive, dockerfile: name };
}
