/**
 * Where the programs that the server itself runs come from: fixed directories of the system first, then those entries
 * of `PATH` that only this user and root can change. A package manager puts directories of the working directory first
 * in `PATH` (`npx`, `npm exec`), so a repository would otherwise choose what the server runs.
 */
import { constants } from "node:fs";
import { access, stat } from "node:fs/promises";
import { delimiter, dirname, isAbsolute, join, resolve } from "node:path";
import { isBeneath } from "./is-beneath.js";
import { followTrusted } from "./trusted-path.js";

const SYSTEM = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];
const HOMEBREW = ["/opt/homebrew/sbin", "/opt/homebrew/bin"];

export interface ProgramSearch {
  /**
   * Its `PATH` is searched after the system's directories, which its `STACKWARDEN_PROGRAM_DIRS` replaces.
   * Default: the server's environment.
   */
  env?: NodeJS.ProcessEnv;
  /** Default: the server's user. */
  uid?: number | undefined;
  gid?: number | undefined;
  /** No program is taken from below these. Default: the working directory and the allowed roots. */
  excluded?: readonly string[];
}

export interface ProgramLookup {
  /** Absolute; null when no directory holds a program that may be run. */
  path: string | null;
  /** Programs of this name that were skipped, with the reason. */
  refused: { path: string; reason: string }[];
}

/** Folders that contain projects: every file below them may belong to a project. */
const projectFolders = new Set<string>();

/** From now on no program is taken from below these folders: a client's allowed roots. */
export function excludeProgramsBelow(folders: Iterable<string>): void {
  for (const folder of folders) projectFolders.add(folder);
}

/** The operator's choice of the directories that are searched first, for systems that keep their programs elsewhere. */
const PROGRAM_DIRS_VARIABLE = "STACKWARDEN_PROGRAM_DIRS";

/** Directories that hold programs for every user. */
export function systemDirs(env: NodeJS.ProcessEnv = process.env, platform = process.platform): string[] {
  const chosen = absoluteDirs(env[PROGRAM_DIRS_VARIABLE]);
  if (chosen.length > 0) return chosen;
  return platform === "darwin" ? [...SYSTEM, ...HOMEBREW] : SYSTEM;
}

const absoluteDirs = (list: string | undefined): string[] =>
  (list ?? "")
    .split(delimiter)
    .filter((dir) => isAbsolute(dir))
    .map((dir) => resolve(dir));

/** The path when it is an executable file, else null. */
export async function executable(path: string): Promise<string | null> {
  try {
    await access(path, constants.X_OK);
    // A folder can be "executed" too.
    return (await stat(path)).isFile() ? path : null;
  } catch {
    return null;
  }
}

/** First of `names` in `dirs`, by the order of the names. For programs that a service runs as its own user. */
export async function findIn(names: readonly string[], dirs: readonly string[]): Promise<string | null> {
  for (const name of names) {
    if (!isName(name)) continue;
    for (const dir of dirs) {
      if (!isAbsolute(dir)) continue;
      const path = await executable(join(dir, name));
      if (path !== null) return path;
    }
  }
  return null;
}

/** First of `names` that the server may run, by the order of the names; null when there is none. */
export async function findProgram(
  names: string | readonly string[],
  search: ProgramSearch = {},
): Promise<string | null> {
  return (await lookUpProgram(names, search)).path;
}

/** Like `findProgram`, and also returns the programs that were skipped. */
export async function lookUpProgram(
  names: string | readonly string[],
  search: ProgramSearch = {},
): Promise<ProgramLookup> {
  const rules = rulesOf(search);
  const refused: ProgramLookup["refused"] = [];
  for (const name of typeof names === "string" ? [names] : names) {
    if (!isName(name)) continue;
    for (const dir of rules.dirs) {
      const path = await executable(join(dir, name));
      if (path === null) continue;
      const reason = await distrust(path, rules);
      if (reason === null) return { path, refused };
      if (!refused.some((one) => one.path === path)) refused.push({ path, reason });
    }
  }
  return { path: null, refused };
}

/** A sentence about the programs that `lookUpProgram` skipped; empty when it skipped none. */
export const refusedPrograms = ({ refused }: ProgramLookup): string =>
  refused.length === 0 ? "" : ` Not used: ${refused.map(({ path, reason }) => `${path} (${reason})`).join(", ")}.`;

/** The environment with a `PATH` of trusted directories only: for programs that look up further programs themselves. */
export async function withTrustedPath(env: NodeJS.ProcessEnv, search: ProgramSearch = {}): Promise<NodeJS.ProcessEnv> {
  const rules = rulesOf({ ...search, env });
  const trusted: string[] = [];
  for (const dir of rules.dirs)
    if (rules.system.has(dir) || (await distrust(dir, rules, "directory")) === null) trusted.push(dir);
  return { ...env, PATH: trusted.join(delimiter) };
}

interface Rules {
  dirs: string[];
  system: Set<string>;
  uid: number | undefined;
  gid: number | undefined;
  excluded: readonly string[];
}

function rulesOf(search: ProgramSearch): Rules {
  const env = search.env ?? process.env;
  const system = systemDirs(env);
  const uid = "uid" in search ? search.uid : process.getuid?.();
  return {
    dirs: [...new Set([...system, ...absoluteDirs(env.PATH)])],
    system: new Set(system),
    uid,
    gid: "gid" in search ? search.gid : process.getgid?.(),
    excluded: search.excluded ?? excludedFolders(uid),
  };
}

/** An ordinary user's tools are below the home directory: a root that contains it does not exclude them. */
function excludedFolders(uid: number | undefined): string[] {
  const folders = [...projectFolders];
  try {
    // Started in `/`, a server would otherwise exclude everything.
    if (process.cwd() !== "/") folders.push(process.cwd());
  } catch {
    // The working directory was removed.
  }
  const home = process.env.HOME;
  return uid === 0 || home === undefined ? folders : folders.filter((folder) => !isBeneath(folder, home));
}

/** `npx` and `npm run` put those of the working directory and of every folder above it first in `PATH`. */
const PACKAGE_PROGRAMS = /\/node_modules\/\.bin(?:\/|$)/;

const isName = (name: string): boolean => name !== "" && name !== "." && name !== ".." && !name.includes("/");

/** The reason not to run a program: a directory, link or file on its path. Null when the program can be trusted. */
async function distrust(path: string, rules: Rules, end: "file" | "directory" = "file"): Promise<string | null> {
  // System directories are trusted even where an administrators' group can write in them.
  const fixed = [...rules.system].some((dir) => path === dir || dirname(path) === dir);
  if (!fixed && rules.excluded.some((folder) => isBeneath(folder, path))) return "below a folder that holds projects";
  if (!fixed && PACKAGE_PROGRAMS.test(path)) return "a program of a package that a project installs";
  if (rules.uid === undefined) return null;
  try {
    const { real, reason } = await followTrusted(path, {
      uid: rules.uid,
      gid: rules.gid,
      end,
      administrators: fixed,
      ownedByAdministrator: (one) => HOMEBREW.some((dir) => isBeneath(dirname(dir), one)),
    });
    if (reason !== null) return reason;
    const outside = fixed || !rules.excluded.some((folder) => isBeneath(folder, real));
    return outside ? null : "leads below a folder that holds projects";
  } catch (error) {
    return `cannot be checked: ${(error as NodeJS.ErrnoException).code ?? "unknown"}`;
  }
}
