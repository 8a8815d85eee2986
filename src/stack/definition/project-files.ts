/** Finds and reads a project's compose files. Each file is read once, and only files inside the project are read. */
import { dirname, join, resolve } from "node:path";
import { isBeneath } from "../../system/is-beneath.js";
import { entriesAmong } from "../../system/open-beneath.js";
import { readRegularText, statBeneath, UnsafePathError } from "../../system/read-regular-file.js";
import { builtInText } from "./built-in-stack.js";
import { type ParsedFile, parseYaml } from "./document.js";
import type { Variable } from "./interpolate.js";
import type { Problems, Where } from "./problems.js";
import { projectVariables } from "./variables.js";

/** In Compose's order of preference. */
const NAMES = ["compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml"];
const OVERRIDES = [
  "compose.override.yml",
  "compose.override.yaml",
  "docker-compose.override.yml",
  "docker-compose.override.yaml",
];
/** Merged last. Settings for stackwarden belong here, so that the project's own compose files stay unchanged. */
const OWN = ["compose.stackwarden.yaml", "compose.stackwarden.yml"];
export const BUILT_IN = "built-in:commandcenter";
const LARGEST = 1_048_576;
const MOST_FILES = 100;

export interface ProjectFiles {
  /** Absolute paths in merge order, or only BUILT_IN. */
  files: string[];
  /** Folder to which relative paths of these files refer: the first file's folder, as in Compose. */
  folder: string;
  builtIn: boolean;
  notes: string[];
  /** Variables of `.env`. */
  variables: Map<string, Variable>;
  /** Path of the `.env` file. */
  envFile?: string;
}

/** True also for a link outside the folder: reading the link reports the problem. */
function exists(path: string, folder: string): boolean {
  try {
    return statBeneath(path, folder) !== undefined;
  } catch (error) {
    if (error instanceof UnsafePathError) return true;
    throw error;
  }
}

/** Those of the files that `place`, a folder below `folder`, has. */
function existing(names: readonly string[], place: string, folder: string): string[] {
  let entries = names;
  try {
    entries = entriesAmong(names, place, folder);
  } catch {
    // `exists` finds out for each of them.
  }
  return entries.filter((one) => exists(join(place, one), folder));
}

/** The default files of a folder: the first of NAMES and the first of OVERRIDES. */
function usualFiles(folder: string, notes: string[]): string[] {
  const present = existing([...NAMES, ...OVERRIDES], folder, folder);
  const [name, ...others] = NAMES.filter((one) => present.includes(one));
  if (name === undefined) return [];
  const [override, ...more] = OVERRIDES.filter((one) => present.includes(one));
  for (const other of others) notes.push(`${other} is not used: ${name} comes first.`);
  for (const other of more) notes.push(`${other} is not used: ${override} comes first.`);
  return [name, ...(override === undefined ? [] : [override])].map((one) => join(folder, one));
}

/** @param files files named by the caller; when empty, `COMPOSE_FILE` of `.env`, else the default names */
export function findFiles(
  folder: string,
  files: readonly string[],
  problems: Problems,
  unset: (name: string) => void,
): ProjectFiles {
  const notes: string[] = [];
  const named = files.map((one) => resolve(folder, one));
  // As in Compose, the first file's folder is the project folder. Its .env is used, else the one of `folder`.
  const places = [...new Set([...(named[0] === undefined ? [] : [dirname(named[0])]), folder])].filter((one) =>
    isBeneath(folder, one),
  );
  const variables = projectVariables(folder, places, problems, unset);
  const envFile = places.map((one) => join(one, ".env")).find((one) => exists(one, folder));
  const separator = variables.get("COMPOSE_PATH_SEPARATOR")?.value || ":";
  const fromEnv = (variables.get("COMPOSE_FILE")?.value ?? "").split(separator).filter((one) => one.trim() !== "");
  const chosen =
    named.length > 0
      ? named
      : fromEnv.length > 0
        ? fromEnv.map((one) => resolve(folder, one))
        : usualFiles(folder, notes);
  const first = chosen[0] === undefined ? folder : dirname(chosen[0]);
  const own = [...new Set([first, folder])]
    .flatMap((place) => existing(OWN, place, folder).map((one) => join(place, one)))
    .at(0);
  if (own !== undefined && !chosen.includes(own)) chosen.push(own);
  const common = { notes, variables, ...(envFile === undefined ? {} : { envFile }) };
  if (chosen.length === 0) return { files: [BUILT_IN], folder, builtIn: true, ...common };
  return { files: chosen, folder: first, builtIn: false, ...common };
}

export interface ReadFile extends ParsedFile {
  path: string;
  text: string;
}

/** Reads and parses the files of one project. Each file is read once. */
export class FileReader {
  readonly #files = new Map<string, ReadFile | null>();

  /** @param folder real path of the project's folder */
  constructor(private readonly folder: string) {}

  /** All files read so far. */
  get read(): ReadFile[] {
    return [...this.#files.values()].filter((file) => file !== null);
  }

  /**
   * Opens a file. Returns undefined and records a problem when the file cannot be used. `where` is the location of the
   * reference to it; default: the file itself.
   */
  open(path: string, problems: Problems, where?: Where, at = ""): ReadFile | undefined {
    const refuse = (message: string, hint: string): undefined => {
      problems.invalid(where ?? { file: { path }, line: null }, at, message, hint);
      return undefined;
    };
    const cached = this.#files.get(path);
    if (cached === undefined) {
      if (this.#files.size >= MOST_FILES)
        return refuse(`the project has more than ${MOST_FILES} compose files`, "Include fewer files.");
      let text: string | undefined;
      try {
        text = path === BUILT_IN ? builtInText() : readRegularText(path, { within: this.folder, maxBytes: LARGEST });
      } catch (error) {
        if (!(error instanceof UnsafePathError)) throw error;
        if (error.reason !== "outside") return refuse(`the compose file ${path} ${error.problem}`, error.hint);
        problems.policy(
          where ?? { file: { path }, line: null },
          at,
          `the compose file ${path} leads outside the project's folder`,
          "Put the file itself into the project's folder.",
        );
        return undefined;
      }
      if (text === undefined)
        return refuse(`the compose file ${path} does not exist`, "Correct its name, or create it.");
      this.#files.set(path, { path, text, ...parseYaml(text) });
    }
    const file = this.#files.get(path) ?? undefined;
    if (file?.fault == null) return file;
    const { line, path: value, message, hint } = file.fault;
    problems.invalid({ file: { path }, line }, value, message, hint);
    return undefined;
  }
}
