/** What of the project's folder goes to the engine: copies, without history, installed packages and what the project excludes. */
import { lstat, readFile, realpath, stat } from "node:fs/promises";
import { isAbsolute, join, relative, sep } from "node:path";
import type { Client, Directory, File } from "@dagger.io/dagger";
import { StackwardenError } from "../../../errors.js";
import type { StackDefinition } from "../../../stack/definition/types.js";

/** Never uploaded, at whatever depth. */
const LEFT_OUT = [".git", "node_modules", ".venv", "venv", "__pycache__"].map((name) => `**/${name}`);

const IGNORE_LIMIT = 256 * 1024;

export const isInside = (folder: string, path: string): boolean => {
  const way = relative(folder, path);
  return way === "" || (way !== ".." && !way.startsWith(`..${sep}`) && !isAbsolute(way));
};

/** Patterns of a .dockerignore, as the engine takes them; a leading `!` takes something back in. */
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
  const found = await stat(path).catch(() => null);
  if (found?.isFile() !== true) return null;
  await stillInside(path, folder);
  if (found.size > IGNORE_LIMIT)
    throw refuse(`${path} is larger than ${IGNORE_LIMIT / 1024} KiB.`, "Name folders in it instead of single files.");
  return ignorePatterns(await readFile(path, "utf8"));
}

/** What a build leaves out; `<dockerfile>.dockerignore` comes before the context's own. The Dockerfile itself always goes. */
export async function buildExcludes(folder: string, context: string, dockerfile: string): Promise<string[]> {
  const listed =
    (await ignoreFile(join(context, `${dockerfile}.dockerignore`), folder)) ??
    (await ignoreFile(join(context, ".dockerignore"), folder)) ??
    [];
  return [...LEFT_OUT, ...listed, `!${dockerfile}`];
}

const refuse = (message: string, hint: string): StackwardenError =>
  new StackwardenError("INVALID_STACK", message, { hint });

/** The path is what it was when the definition was read: no link has led it out of the project since. */
async function stillInside(path: string, folder: string): Promise<void> {
  const real = await realpath(path).catch(() => null);
  if (real === null || !isInside(await realpath(folder), real))
    throw refuse(`${path} is not (or no longer) in the project's folder.`, "Correct the path in the compose file.");
}

export interface UploadOptions {
  client: Client;
  /** The project's. */
  folder: string;
  /** Never uploaded: where the server keeps its state, should that lie below. */
  stateDir: string;
  definition: Pick<StackDefinition, "privateFiles">;
}

/** The engine keeps what is copied to it: files with secrets go there as secrets, or not at all. */
const privateFiles = ({ folder, definition }: UploadOptions): string[] => [
  ...new Set([join(folder, ".env"), ...(definition.privateFiles ?? [])]),
];

/** A path as a pattern that means nothing else. */
const literally = (path: string): string => path.replace(/[\\*?[\]!]/g, "\\$&");

/** Those that lie below the path, relative to it. */
export const privateBelow = (options: UploadOptions, path: string): string[] =>
  privateFiles(options).flatMap((file) => (file !== path && isInside(path, file) ? [relative(path, file)] : []));

/** The folder as it is now: nothing of an earlier upload is taken for it. */
export async function uploadFolder(
  options: UploadOptions,
  path: string,
  exclude: string[] = LEFT_OUT,
): Promise<Directory> {
  const { client, folder, stateDir } = options;
  await stillInside(path, folder);
  const own = privateBelow(options, path).map(literally);
  const state = isInside(path, stateDir) ? [relative(path, stateDir)] : [];
  return client.host().directory(path, { exclude: [...exclude, ...own, ...state], noCache: true });
}

export type Upload =
  | { kind: "folder"; folder: Directory }
  | { kind: "file"; file: File }
  | { kind: "secret"; value: string };

/** What an engine takes as a secret. */
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

/** @throws INVALID_STACK when there is nothing at the path, no file or folder, or a secret that is too large */
export async function uploadBind(options: UploadOptions, path: string): Promise<Upload> {
  const found = await lstat(path).catch(() => null);
  if (found?.isDirectory() === true) return { kind: "folder", folder: await uploadFolder(options, path) };
  if (found?.isFile() === true) {
    await stillInside(path, options.folder);
    if (found.size > 0 && privateFiles(options).includes(path))
      return { kind: "secret", value: await readSecretFile(path) };
    return { kind: "file", file: options.client.host().file(path, { noCache: true }) };
  }
  throw refuse(
    found === null ? `${path} does not exist.` : `${path} is neither a file nor a folder.`,
    "Create it, or correct the volume in the compose file.",
  );
}
