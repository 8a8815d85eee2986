/**
 * Where version managers keep the versions of a language: nvm, fnm, Volta, mise, asdf, n, pyenv, uv, Homebrew, Go's own
 * downloads. Their folders are listed; their shims are never run.
 */
import { readdir, realpath } from "node:fs/promises";
import { delimiter, dirname, isAbsolute, join } from "node:path";
import { executable } from "../../../system/find-program.js";
import type { Toolchain } from "../image/recipe.js";

/** Environment variables of the client that say where its programs are. */
export type ClientEnvironment = Readonly<Record<string, string | undefined>>;

export interface Candidate {
  program: string;
  /** As the name of its folder says; null when the program must be asked. */
  version: string | null;
}

type Language = Toolchain["language"];

export const PROGRAM: Readonly<Record<Language, readonly string[]>> = {
  node: ["node"],
  python: ["python3", "python"],
  go: ["go"],
  bun: ["bun"],
};

/** A folder with one subfolder for each version, and the program below that. */
interface Versions {
  folder: string;
  /** Matches the subfolder; the first group is the version. */
  name: RegExp;
  program: string;
}

const SEMVER = /^v?(\d+(?:\.\d+){1,2})$/;

function versionFolders(language: Language, env: ClientEnvironment): Versions[] {
  const home = env.HOME;
  const at = (variable: string, ...usual: string[]): string[] => {
    const set = env[variable];
    if (set !== undefined && isAbsolute(set)) return [set];
    return home === undefined || !isAbsolute(home) ? [] : usual.map((path) => join(home, path));
  };
  const mise = at("MISE_DATA_DIR", ".local/share/mise");
  const asdf = at("ASDF_DATA_DIR", ".asdf");
  const managed = (name: string, program: string): Versions[] =>
    [...mise, ...asdf].map((root) => ({ folder: join(root, "installs", name), name: SEMVER, program }));
  switch (language) {
    case "node":
      return [
        ...at("NVM_DIR", ".nvm", ".config/nvm").map((root) => ({
          folder: join(root, "versions/node"),
          name: SEMVER,
          program: "bin/node",
        })),
        ...at("FNM_DIR", ".local/share/fnm", ".fnm", "Library/Application Support/fnm").map((root) => ({
          folder: join(root, "node-versions"),
          name: SEMVER,
          program: "installation/bin/node",
        })),
        ...at("VOLTA_HOME", ".volta").map((root) => ({
          folder: join(root, "tools/image/node"),
          name: SEMVER,
          program: "bin/node",
        })),
        { folder: join(env.N_PREFIX ?? "/usr/local", "n/versions/node"), name: SEMVER, program: "bin/node" },
        ...managed("node", "bin/node"),
        ...managed("nodejs", "bin/node"),
        ...HOMEBREW.map((root) => ({ folder: root, name: /^node@(\d+)$/, program: "bin/node" })),
      ];
    case "python":
      return [
        ...at("PYENV_ROOT", ".pyenv").map((root) => ({
          folder: join(root, "versions"),
          name: SEMVER,
          program: "bin/python3",
        })),
        ...at("UV_PYTHON_INSTALL_DIR", ".local/share/uv/python").map((root) => ({
          folder: root,
          name: /^cpython-(\d+\.\d+\.\d+)-/,
          program: "bin/python3",
        })),
        ...managed("python", "bin/python3"),
        ...HOMEBREW.map((root) => ({ folder: root, name: /^python@(\d+\.\d+)$/, program: "libexec/bin/python3" })),
      ];
    case "go":
      return [
        ...at("GOENV_ROOT", ".goenv").map((root) => ({
          folder: join(root, "versions"),
          name: SEMVER,
          program: "bin/go",
        })),
        ...at("GO_SDK", "sdk").map((root) => ({ folder: root, name: /^go(\d+(?:\.\d+)+)$/, program: "bin/go" })),
        ...managed("go", "go/bin/go"),
        { folder: "/usr/lib", name: /^go-(\d+\.\d+)$/, program: "bin/go" },
        ...HOMEBREW.map((root) => ({ folder: root, name: /^go@(\d+\.\d+)$/, program: "bin/go" })),
      ];
    case "bun":
      return managed("bun", "bin/bun");
  }
}

const HOMEBREW = ["/opt/homebrew/opt", "/usr/local/opt", "/home/linuxbrew/.linuxbrew/opt"];

const byVersion = (a: Candidate, b: Candidate): number =>
  (b.version ?? "").localeCompare(a.version ?? "", "en", { numeric: true });

async function installed({ folder, name, program }: Versions): Promise<Candidate[]> {
  const names = await readdir(folder).catch((): string[] => []);
  const candidates = names.flatMap((one): Candidate[] => {
    const version = name.exec(one)?.[1];
    return version === undefined ? [] : [{ program: join(folder, one, program), version }];
  });
  const present = await Promise.all(
    candidates.map(async (one) => ((await executable(one.program)) === null ? [] : [one])),
  );
  return present.flat().sort(byVersion);
}

/** Directories of the client's PATH, without those of shims: a shim needs its manager's own environment. */
export const clientPath = (env: ClientEnvironment): string[] =>
  (env.PATH ?? "")
    .split(delimiter)
    .filter((dir) => isAbsolute(dir) && !/\/shims\/?$|\/node_modules\/\.bin\/?$/.test(dir));

/** The version that a path names, for example `/…/.nvm/versions/node/v22.1.0/bin/node`. */
const versionInPath = (path: string): string | null =>
  /\/(?:v|cpython-|go)?(\d+\.\d+\.\d+)[^/]*\/(?:installation\/)?bin\/[^/]+$/.exec(path)?.[1] ?? null;

/**
 * Programs of a language, those of the directories first, then those of version managers with the newest version first.
 * @param dirs searched in order
 */
export async function candidatesFor(
  { language, version }: Pick<Toolchain, "language" | "version">,
  dirs: readonly string[],
  env: ClientEnvironment,
): Promise<Candidate[]> {
  const short = version?.split(".").slice(0, 2).join(".");
  const exact = language === "python" && version?.includes(".") ? [`python${short}`] : [];
  const names = [...exact, ...PROGRAM[language]];
  const candidates: Candidate[] = [];
  for (const name of names)
    for (const dir of dirs) {
      const path = await executable(join(dir, name));
      if (path === null) continue;
      const real = await realpath(path).catch(() => path);
      candidates.push({ program: path, version: versionInPath(path) ?? versionInPath(real) });
    }
  for (const folder of versionFolders(language, env)) candidates.push(...(await installed(folder)));
  const paths = new Set<string>();
  return candidates.filter(({ program }) => !paths.has(program) && paths.add(program) !== undefined);
}

/** Directories that a program needs beside its own: that of its real file, and that of its script's interpreter. */
export async function directoriesOf(program: string, firstLine: (path: string) => Promise<string>): Promise<string[]> {
  const dirs = [dirname(program)];
  const real = await realpath(program).catch(() => program);
  dirs.push(dirname(real));
  const interpreter = /^#!\s*(\/\S+)/.exec(await firstLine(real).catch(() => ""))?.[1];
  if (interpreter !== undefined && !/\/env$/.test(interpreter)) {
    dirs.push(dirname(interpreter), dirname(await realpath(interpreter).catch(() => interpreter)));
  }
  return [...new Set(dirs)];
}
