/**
 * Uploads parts of the project's folder to the engine as copies, without history, installed packages and files that the
 * project excludes.
 */
import { join, relative } from "node:path";
import dockerignore from "@balena/dockerignore";
import type { Client, Directory, File } from "@dagger.io/dagger";
import { StackwardenError } from "../../../errors.js";
import type { StackDefinition } from "../../../stack/definition/types.js";
import { boundedPatterns } from "../../../system/ignore-patterns.js";
import { isBeneath } from "../../../system/is-beneath.js";
import { readRegularFile, statBeneath } from "../../../system/read-regular-file.js";
import { walkBeneath } from "../../../system/walk-beneath.js";
import { CONTEXT_HINT, CONTEXT_LIMITS, readIgnoreFile } from "../../shared/build-context.js";

/** Names that are never uploaded, at any depth. */
const LEFT_OUT = [".git", "node_modules", ".venv", "venv", "__pycache__"].map((name) => `**/${name}`);

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

/**
 * Checks that a folder is in the project, without a link on the way, and within the limits of an upload. The engine's CLI
 * then reads it by its path.
 */
async function checkFolder(path: string, folder: string, exclude: readonly string[]): Promise<void> {
  const entry = statBeneath(path, folder);
  if (entry?.kind !== "folder" || entry.path !== path)
    throw refuse(`${path} is not (or no longer) in the project's folder.`, "Correct the path in the compose file.");
  const { text } = boundedPatterns(exclude.join("\n"));
  const patterns = matcher({ ignorecase: false });
  // A pattern that the library cannot read is the engine's to refuse.
  for (const pattern of text.split("\n")) {
    try {
      matcher({ ignorecase: false }).add(pattern).ignores("x");
      patterns.add(pattern);
    } catch {}
  }
  const choose = (inner: string): "take" | "skip" => (patterns.ignores(inner) ? "skip" : "take");
  const options = { within: folder, limits: CONTEXT_LIMITS, hint: CONTEXT_HINT, choose };
  // The walk itself checks the limits.
  for await (const _entry of walkBeneath(path, options));
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
export const privateFiles = ({ folder, definition }: Pick<UploadOptions, "folder" | "definition">): string[] => [
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
  const own = privateBelow(options, path).map(literally);
  const state = isBeneath(path, stateDir) ? [relative(path, stateDir)] : [];
  await checkFolder(path, folder, [...exclude, ...state.map(literally)]);
  return client.host().directory(path, { exclude: [...exclude, ...own, ...state], noCache: true });
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
      `${path} holds secrets and cannot be handed over as one: a secret is text of at most ${MOST_SECRET_BYTES} bytes.`,
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
    if (entry.size > 0 && privateFiles(options).includes(path))
      return { kind: "secret", value: readSecretFile(path, folder) };
    return { kind: "file", file: options.client.host().file(path, { noCache: true }) };
  }
  throw refuse(
    entry === undefined ? `${path} does not exist.` : `${path} is neither a file nor a folder.`,
    "Create it, or correct the volume in the compose file.",
  );
}
