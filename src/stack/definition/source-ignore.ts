/** Decides which files below a source path count as sources. */
import { basename, join, relative } from "node:path";
import dockerignore from "@balena/dockerignore";
import gitignore from "ignore";
import { boundedPatterns } from "../../system/ignore-patterns.js";
import { isBeneath } from "../../system/is-beneath.js";
import { readRegularText, UnsafePathError } from "../../system/read-regular-file.js";

const IGNORE_LIMIT = 262_144;
/** Folders that hold no sources: history, installed packages, caches, build output. */
const SKIPPED =
  /^(?:\.git|\.hg|\.svn|node_modules|\.venv|venv|__pycache__|\.(?:pytest|mypy|ruff|parcel|turbo)_?-?cache|\.cache|\.tox|\.nox|\.next|\.nuxt|\.svelte-kit|\.turbo|\.gradle|\.idea|\.vscode|coverage)$/;
/** Files that services write beside their sources. */
const WRITTEN = /(?:\.(?:log|pid|sock|pyc|db|sqlite|sqlite3|swp|tmp)|\.(?:db|sqlite|sqlite3)-(?:wal|shm|journal)|~)$/i;

/** The types of the package declare a default export; at run time the module itself is the function. */
const dockerPatterns = dockerignore as unknown as typeof dockerignore.default;
const gitPatterns = gitignore;

/**
 * Patterns that would block the server, or are not valid, are left out: the files that they name are compared, too.
 */
function dockerMatcher(lines: string): (path: string) => boolean {
  const patterns = dockerPatterns({ ignorecase: false });
  for (const line of boundedPatterns(lines).text.split("\n")) {
    try {
      dockerPatterns({ ignorecase: false }).add(line).ignores("x");
      patterns.add(line);
    } catch {
      // Not a valid regular expression in the library.
    }
  }
  return (path) => patterns.ignores(path);
}

/** True for what is left out. The path is relative to the source path. */
export type Ignores = (path: string, isFolder: boolean) => boolean;
/** Patterns of `develop.watch`, which are those of `.dockerignore`. */
export function watchIgnores({ ignore, include }: { ignore: readonly string[]; include: readonly string[] }): Ignores {
  const ignored = dockerMatcher(ignore.join("\n"));
  const included = include.length === 0 ? null : dockerMatcher(include.join("\n"));
  return (path, isFolder) => ignored(path) || (included !== null && !isFolder && !included(path));
}

const NOTHING: Ignores = () => false;

function textOf(path: string, folder: string): string {
  try {
    return readRegularText(path, { within: folder, maxBytes: IGNORE_LIMIT }) ?? "";
  } catch (error) {
    if (error instanceof UnsafePathError) return "";
    throw error;
  }
}

/** `.gitignore` of the project's folder and of the source's folder. A source that is ignored itself is compared. */
function gitIgnored(source: string, folder: string): Ignores {
  const places = [...new Set([folder, source])].map((place) => ({
    place,
    text: textOf(join(place, ".gitignore"), folder),
  }));
  const rules = places
    .filter(({ text }) => text !== "")
    .map(({ place, text }) => ({ place, patterns: gitPatterns().add(boundedPatterns(text).text) }));
  if (rules.length === 0) return NOTHING;
  const ignores = (path: string): boolean =>
    rules.some(({ place, patterns }) => {
      const inner = relative(place, path);
      return inner !== "" && isBeneath(place, path) && patterns.ignores(inner);
    });
  if (source !== folder && ignores(`${source}/`)) return NOTHING;
  return (path, isFolder) => ignores(join(source, path) + (isFolder ? "/" : ""));
}

/** As for builds: a folder is left out only when no pattern includes entries again. */
function dockerIgnored(context: string, folder: string): Ignores {
  const text = textOf(join(context, ".dockerignore"), folder);
  if (text.trim() === "") return NOTHING;
  const ignores = dockerMatcher(text);
  const negated = /^[ \t]*!/m.test(text);
  return (path, isFolder) => ignores(path) && !(isFolder && negated);
}

/**
 * Leaves out version control, installed packages, caches, build output, what services write, and what `.gitignore` and
 * the `.dockerignore` of a build context name.
 */
export function ignoredSources({ path, buildContext }: { path: string; buildContext?: true }, folder: string): Ignores {
  const git = gitIgnored(path, folder);
  const docker = buildContext === true ? dockerIgnored(path, folder) : NOTHING;
  return (entry, isFolder) => {
    const name = basename(entry);
    if (isFolder ? SKIPPED.test(name) : WRITTEN.test(name)) return true;
    return docker(entry, isFolder) || git(entry, isFolder);
  };
}
