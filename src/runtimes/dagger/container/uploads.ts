/**
 * Uploads parts of the project's folder to the engine as copies, without history, installed packages and files that the
 * project excludes.
 */
import { basename, dirname, join, relative } from "node:path";
import dockerignore from "@balena/dockerignore";
import type { Client, Directory, File } from "@dagger.io/dagger";
import { StackwardenError } from "../../../errors.js";
import type { StackDefinition } from "../../../stack/definition/types.js";
import { boundedPatterns } from "../../../system/ignore-patterns.js";
import { isBeneath } from "../../../system/is-beneath.js";
import { readRegularFile, statBeneath } from "../../../system/read-regular-file.js";
import { isRootServer } from "../../../system/root-server.js";
import { type WalkOptions, walkBeneath } from "../../../system/walk-beneath.js";
import { CONTEXT_HINT, CONTEXT_LIMITS, readIgnoreFile } from "../../shared/build-context.js";
import { privateFiles } from "../../shared/private-files.js";
import type { Staging } from "./staging.js";

/** Names that are never uploaded, at any depth. */
const LEFT_OUT_NAMES = [".git", "node_modules", ".venv", "venv", "__pycache__"];
const LEFT_OUT = LEFT_OUT_NAMES.map((name) => `**/${name}`);

/** The types of the package declare a default export; at run time the module itself is the function. */
const matcher = dockerignore as unknown as typeof dockerignore.default;

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

function ignoreFile(path: string, folder: string): string[] | null {
  const text = readIgnoreFile(path, folder);
  return text === null ? null : ignorePatterns(text);
}

/**
 * Patterns that a build excludes; `<dockerfile>.dockerignore` takes precedence over the context's own. The Dockerfile
 * itself is always included.
 */
export async function buildExcludes(folder: string, context: string, dockerfile: string): Promise<string[]> {
  const listed =
    ignoreFile(join(context, `${dockerfile}.dockerignore`), folder) ??
    ignoreFile(join(context, ".dockerignore"), folder) ??
    [];
  return [...LEFT_OUT, ...listed, `!${dockerfile}`];
}

const refuse = (message: string, hint: string): StackwardenError =>
  new StackwardenError("INVALID_STACK", message, { hint });

/** Whether the engine's patterns exclude a path, relative to the uploaded folder. */
function exclusion(exclude: readonly string[]): (path: string) => boolean {
  const { text } = boundedPatterns(exclude.join("\n"));
  const patterns = matcher({ ignorecase: false });
  // A pattern that the library cannot read is the engine's to refuse.
  for (const pattern of text.split("\n")) {
    try {
      matcher({ ignorecase: false }).add(pattern).ignores("x");
      patterns.add(pattern);
    } catch {}
  }
  return (path) => patterns.ignores(path);
}

/** Whether a pattern that includes entries again (`!`) can name something in an excluded folder. */
const containsIncluded = (folder: string, exclude: readonly string[]): boolean =>
  exclude.some((pattern) => {
    if (!pattern.startsWith("!")) return false;
    return /[*?[\\]/.test(pattern) ? !LEFT_OUT_NAMES.includes(basename(folder)) : pattern.startsWith(`!${folder}/`);
  });

export interface UploadOptions {
  client: Client;
  /** The project's folder. */
  folder: string;
  /** The server's state directory. It is never uploaded, even when it is below the path. */
  stateDir: string;
  definition: Pick<StackDefinition, "privateFiles">;
  staging: Staging;
  /** Default: whether the server runs as root. */
  isRoot?: boolean;
}

/** Private files below the path, relative to it. */
export const privateBelow = ({ folder, definition }: UploadOptions, path: string): string[] =>
  privateFiles(folder, definition).flatMap((file) =>
    file !== path && isBeneath(path, file) ? [relative(path, file)] : [],
  );

/** Escapes a path so that the pattern matches it literally. */
const literally = (path: string): string => path.replace(/[\\*?[\]!]/g, "\\$&");

/**
 * Checks that a folder is in the project, without a link on the way, and that what `choose` takes of it is within the
 * limits of an upload.
 * @returns the path that the Dagger CLI reads: for a server that runs as root, of a copy
 */
async function sourceOf(
  { folder, staging, isRoot = isRootServer() }: UploadOptions,
  path: string,
  choose: WalkOptions["choose"],
): Promise<string> {
  const entry = statBeneath(path, folder);
  if (entry?.kind !== "folder" || entry.path !== path)
    throw refuse(`${path} is not (or no longer) in the project's folder.`, "Correct the path in the compose file.");
  const options = { within: folder, limits: CONTEXT_LIMITS, hint: CONTEXT_HINT, choose };
  if (isRoot) return staging.copy(path, options);
  // The walk itself checks the limits.
  for await (const _entry of walkBeneath(path, options));
  return path;
}

/** Uploads the current state of the folder, without reusing an earlier upload. */
export async function uploadFolder(
  options: UploadOptions,
  path: string,
  exclude: string[] = LEFT_OUT,
): Promise<Directory> {
  const { client, stateDir } = options;
  const excluded = [
    ...exclude,
    ...[...privateBelow(options, path), ...(isBeneath(path, stateDir) ? [relative(path, stateDir)] : [])].map(
      literally,
    ),
  ];
  const isExcluded = exclusion(excluded);
  const source = await sourceOf(options, path, (inner) => {
    if (!isExcluded(inner)) return "take";
    return containsIncluded(inner, exclude) ? "enter" : "skip";
  });
  return client.host().directory(source, { exclude: excluded, noCache: true });
}

/** Uploads single files of a folder. @param files relative to the folder; missing ones are left out */
export async function uploadFiles(options: UploadOptions, path: string, files: readonly string[]): Promise<Directory> {
  const source = await sourceOf(options, path, (inner) => {
    if (files.includes(inner)) return "take";
    return files.some((file) => file.startsWith(`${inner}/`)) ? "enter" : "skip";
  });
  return options.client.host().directory(source, { include: files.map(literally), noCache: true });
}

export type Upload =
  | { kind: "folder"; folder: Directory }
  | { kind: "file"; file: File }
  | { kind: "secret"; value: string };

/** The largest secret that an engine accepts, in bytes. */
const MOST_SECRET_BYTES = 128_000;

function readSecretFile(path: string, folder: string): string {
  const bytes = readRegularFile(path, { within: folder, maxBytes: 8 * MOST_SECRET_BYTES })?.bytes ?? Buffer.alloc(0);
  const value = bytes.toString();
  if (bytes.length > MOST_SECRET_BYTES || !Buffer.from(value).equals(bytes))
    throw refuse(
      `${path} contains secrets and cannot be passed as a secret: a secret is text of at most ${MOST_SECRET_BYTES} bytes.`,
      "Keep secrets in a smaller text file, or mount another file.",
    );
  return value;
}

/**
 * @throws INVALID_STACK when the path does not exist, is neither a file nor a folder, or is a secret that is too large
 */
export async function uploadBind(options: UploadOptions, path: string): Promise<Upload> {
  const { folder } = options;
  const entry = statBeneath(path, folder);
  const isItself = entry?.path === path;
  if (isItself && entry.kind === "folder") return { kind: "folder", folder: await uploadFolder(options, path) };
  if (isItself && entry.kind === "file") {
    if (entry.size > 0 && privateFiles(folder, options.definition).includes(path))
      return { kind: "secret", value: readSecretFile(path, folder) };
    const name = basename(path);
    const source = await sourceOf(options, dirname(path), (inner) => (inner === name ? "take" : "skip"));
    return { kind: "file", file: options.client.host().file(join(source, name), { noCache: true }) };
  }
  throw refuse(
    entry === undefined ? `${path} does not exist.` : `${path} is neither a file nor a folder.`,
    "Create it, or correct the volume in the compose file.",
  );
}
