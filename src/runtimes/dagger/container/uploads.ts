/**
 * Uploads parts of the project's folder to the engine as copies, without history, installed packages and files that the
 * project excludes.
 */
import { lstat, readFile, realpath, stat } from "node:fs/promises";
import { join, relative } from "node:path";
import type { Client, Directory, File } from "@dagger.io/dagger";
import { StackwardenError } from "../../../errors.js";
import type { StackDefinition } from "../../../stack/definition/types.js";
import { isBeneath } from "../../../system/is-beneath.js";

/** Names that are never uploaded, at any depth. */
const LEFT_OUT = [".git", "node_modules", ".venv", "venv", "__pycache__"].map((name) => `**/${name}`);

const IGNORE_LIMIT = 256 * 1024;

/** Patterns of a .dockerignore in the engine's format; a leading `!` includes entries again. */
export function ignorePatterns(text: string): string[] {
  return text
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"))
    .flatMap((line) => {
      const back = line.startsWith("!");
      const path = (back ? line.slice(1).trim() : line).replace(/^(?:\.?\/)+/, "").replace(/\/+$/, "");
      return path === "" || path === "." ? [] : [`${back ? "!" : ""}${path}`];
    });
}

async function ignoreFile(path: string, folder: string): Promise<string[] | null> {
  const stats = await stat(path).catch(() => null);
  if (stats?.isFile() !== true) return null;
  await stillInside(path, folder);
  if (stats.size > IGNORE_LIMIT)
    throw refuse(`${path} is larger than ${IGNORE_LIMIT / 1024} KiB.`, "Name folders in it instead of single files.");
  return ignorePatterns(await readFile(path, "utf8"));
}

/**
 * Patterns that a build excludes; `<dockerfile>.dockerignore` takes precedence over the context's own. The Dockerfile
 * itself is always included.
 */
export async function buildExcludes(folder: string, context: string, dockerfile: string): Promise<string[]> {
  const listed =
    (await ignoreFile(join(context, `${dockerfile}.dockerignore`), folder)) ??
    (await ignoreFile(join(context, ".dockerignore"), folder)) ??
    [];
  return [...LEFT_OUT, ...listed, `!${dockerfile}`];
}

const refuse = (message: string, hint: string): StackwardenError =>
  new StackwardenError("INVALID_STACK", message, { hint });

/** Checks that no link has redirected the path out of the project since the definition was read. */
async function stillInside(path: string, folder: string): Promise<void> {
  const real = await realpath(path).catch(() => null);
  if (real === null || !isBeneath(await realpath(folder), real))
    throw refuse(`${path} is not (or no longer) in the project's folder.`, "Correct the path in the compose file.");
}

export interface UploadOptions {
  client: Client;
  /** The project's folder. */
  folder: string;
  /** The server's state directory. It is never uploaded, even when it is below the path. */
  stateDir: string;
  definition: Pick<StackDefinition, "privateFiles">;
}

/**
 * Files with secrets are uploaded as secrets or not at all, because the engine keeps every file that is copied to it.
 */
const privateFiles = ({ folder, definition }: UploadOptions): string[] => [
  ...new Set([join(folder, ".env"), ...(definition.privateFiles ?? [])]),
];

/** Escapes a path so that the pattern matches it literally. */
const literally = (path: string): string => path.replace(/[\\*?[\]!]/g, "\\$&");

/** Private files below the path, relative to it. */
export const privateBelow = (options: UploadOptions, path: string): string[] =>
  privateFiles(options).flatMap((file) => (file !== path && isBeneath(path, file) ? [relative(path, file)] : []));

/** Uploads the current state of the folder, without reusing an earlier upload. */
export async function uploadFolder(
  options: UploadOptions,
  path: string,
  exclude: string[] = LEFT_OUT,
): Promise<Directory> {
  const { client, folder, stateDir } = options;
  await stillInside(path, folder);
  const own = privateBelow(options, path).map(literally);
  const state = isBeneath(path, stateDir) ? [relative(path, stateDir)] : [];
  return client.host().directory(path, { exclude: [...exclude, ...own, ...state], noCache: true });
}

export type Upload =
  | { kind: "folder"; folder: Directory }
  | { kind: "file"; file: File }
  | { kind: "secret"; value: string };

/** The largest secret that an engine accepts, in bytes. */
const MOST_SECRET_BYTES = 128_000;

async function readSecretFile(path: string): Promise<string> {
  const bytes = await readFile(path);
  const value = bytes.toString();
  if (bytes.length > MOST_SECRET_BYTES || !Buffer.from(value).equals(bytes))
    throw refuse(
      `${path} holds secrets and cannot be handed over as one: a secret is text of at most ${MOST_SECRET_BYTES} bytes.`,
      "Keep secrets in a smaller text file, or mount another file.",
    );
  return value;
}

/**
 * @throws INVALID_STACK when the path does not exist, is neither a file nor a folder, or is a secret that is too large
 */
export async function uploadBind(options: UploadOptions, path: string): Promise<Upload> {
  const stats = await lstat(path).catch(() => null);
  if (stats?.isDirectory() === true) return { kind: "folder", folder: await uploadFolder(options, path) };
  if (stats?.isFile() === true) {
    await stillInside(path, options.folder);
    if (stats.size > 0 && privateFiles(options).includes(path))
      return { kind: "secret", value: await readSecretFile(path) };
    return { kind: "file", file: options.client.host().file(path, { noCache: true }) };
  }
  throw refuse(
    stats === null ? `${path} does not exist.` : `${path} is neither a file nor a folder.`,
    "Create it, or correct the volume in the compose file.",
  );
}
