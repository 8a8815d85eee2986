/**
 * Looks at a project's folder: its compose files, whatever their name, and its programs. Derives a compose file that
 * runs the programs, and the assumptions that it rests on. Reads manifests; runs nothing and writes nothing.
 */
import { basename } from "node:path";
import { listBeneath } from "../../system/list-beneath.js";
import { readRegularText, statBeneath, UnsafePathError } from "../../system/read-regular-file.js";

export type Database = "postgres" | "redis";

export interface Program {
  /** Name of its service. */
  name: string;
  /** Its folder relative to the project's; empty for the project's folder itself. */
  at: string;
  /** `a FastAPI program (main.py, requirements.txt)`. */
  description: string;
  /** Lines of the service in a compose file, without indentation; null when no command can be derived. */
  service: readonly string[] | null;
  assumptions: readonly string[];
  needs: readonly Database[];
}

export interface FolderAnalysis {
  /** Compose files with the names that Compose looks for. */
  composeFiles: string[];
  /** Compose files with other names. */
  otherComposeFiles: string[];
  programs: Program[];
}

const LARGEST = 262_144;
const MOST_NAMES = 2_000;
const MOST_PROGRAMS = 20;
const COMPOSE = /^(?:docker-)?compose\.ya?ml$/;
/** Compose files with a name that Compose does not look for. Overrides do not count: they belong to another file. */
const OTHER_COMPOSE = /^(?:docker-)?compose[.-](?!override\.|stackwarden\.).+\.ya?ml$/;
const PYTHON_MANIFESTS = ["requirements.txt", "pyproject.toml", "Pipfile"];
const PYTHON_MAINS = ["main.py", "app.py", "server.py", "manage.py", "app/main.py", "src/main.py"];
const OTHERS: Record<string, string> = {
  "go.mod": "a Go program",
  "Cargo.toml": "a Rust program",
  Gemfile: "a Ruby program",
  "pom.xml": "a Java program",
  "build.gradle": "a Java program",
  "build.gradle.kts": "a Kotlin program",
  "composer.json": "a PHP program",
  "mix.exs": "an Elixir program",
  "deno.json": "a Deno program",
  "index.html": "a web page",
};
/** Folders that hold programs in many projects without a workspace manifest. */
const USUAL_FOLDERS = ["backend", "frontend", "api", "server", "web", "client", "app", "worker", "ui"];
const USUAL_PARENTS = ["apps", "services"];
const PORT = 8000;

class ProjectFolder {
  constructor(readonly path: string) {}

  text(name: string): string {
    try {
      return readRegularText(`${this.path}/${name}`, { within: this.path, maxBytes: LARGEST }) ?? "";
    } catch (error) {
      // The file is too large, or a link outside the folder. Detection ignores its contents.
      if (error instanceof UnsafePathError) return "";
      throw error;
    }
  }

  names(at: string): Set<string> {
    try {
      return new Set(listBeneath(`${this.path}/${at}`, this.path, MOST_NAMES));
    } catch (error) {
      if (error instanceof UnsafePathError) return new Set();
      throw error;
    }
  }

  isFolder(at: string): boolean {
    try {
      return statBeneath(`${this.path}/${at}`, this.path)?.kind === "folder";
    } catch (error) {
      if (error instanceof UnsafePathError) return false;
      throw error;
    }
  }
}

/** One folder that may hold a program. */
interface Place {
  folder: ProjectFolder;
  at: string;
  names: ReadonlySet<string>;
}

const inside = (at: string, name: string): string => (at === "" ? name : `${at}/${name}`);
const json = (value: unknown): string => JSON.stringify(value);
/** Compose replaces `$` in values. */
const literal = (words: readonly string[]): string => json(words.map((word) => word.replaceAll("$", "$$$$")));
const inContainer = (argv: readonly string[]): string[] =>
  argv.map((word) => word.replaceAll("{host}", "0.0.0.0").replaceAll("{port}", String(PORT)));

/** A service that runs a program from its folder, in a language's image and on the local runtime. */
function sourceService(
  { at }: Place,
  {
    image,
    argv,
    install,
    port = true,
    env,
  }: {
    image: string;
    argv: readonly string[];
    install?: string;
    port?: boolean;
    env?: Record<string, string>;
  },
): string[] {
  return [
    `image: ${image}`,
    "working_dir: /app",
    `volumes: [${json(`${at === "" ? "." : `./${at}`}:/app`)}]`,
    ...(port ? [`ports: ["${PORT}"]`] : []),
    ...(env === undefined ? [] : [`environment: ${json(env)}`]),
    `command: ${literal(inContainer(argv))}`,
    "x-local:",
    ...(at === "" ? [] : [`  working_dir: ${json(at)}`]),
    ...(install === undefined ? [] : [`  install: ${install}`]),
    `  command: ${literal(argv)}`,
  ];
}

const builtService = (at: string, ports: readonly number[]): string[] => [
  `build: ${json(at === "" ? "." : `./${at}`)}`,
  `ports: [${ports.map((port) => `"${port}"`).join(", ")}]`,
];

function needsOf(text: string): Database[] {
  const postgres = /psycopg|asyncpg|postgres|"pg"|pgx|lib\/pq/i.test(text);
  const redis = /redis|bullmq/i.test(text);
  return [...(postgres ? (["postgres"] as const) : []), ...(redis ? (["redis"] as const) : [])];
}

function pythonCommand(framework: string, main: string): string[] | null {
  const module = main.replace(/\.py$/, "").replaceAll("/", ".");
  if (framework === "FastAPI")
    return ["python", "-m", "uvicorn", `${module}:app`, "--host", "{host}", "--port", "{port}"];
  if (framework === "Flask")
    return ["python", "-m", "flask", "--app", module, "run", "--host", "{host}", "--port", "{port}"];
  if (framework === "Django") return ["python", "manage.py", "runserver", "{host}:{port}"];
  return null;
}

type Detected = Omit<Program, "name" | "at">;

const pythonInstall = ({ at, names }: Place): string | undefined =>
  names.has("requirements.txt") ? `{ kind: python, manifest: ${json(inside(at, "requirements.txt"))} }` : undefined;

function pythonProgram(place: Place): Detected | null {
  const { folder, at, names } = place;
  const text = (name: string): string => folder.text(inside(at, name));
  const manifests = PYTHON_MANIFESTS.filter((name) => names.has(name));
  const mains = PYTHON_MAINS.filter((name) => text(name) !== "");
  if (manifests.length === 0 && mains.length === 0) return null;
  const all = [...manifests, ...mains].map(text).join("\n");
  const framework = ["FastAPI", "Django", "Flask"].find((name) => new RegExp(`\\b${name}\\b`, "i").test(all));
  const [main = "main.py"] = mains;
  const argv = framework === undefined ? null : pythonCommand(framework, main);
  const install = pythonInstall(place);
  const assumptions = [
    ...(framework === "FastAPI" || framework === "Flask"
      ? [`The application object in ${inside(at, main)} is called app.`]
      : []),
    ...(install === undefined && manifests.length > 0
      ? [
          `The dependencies of ${inside(at, manifests[0] as string)} are not installed: x-local.install takes a requirements.txt.`,
        ]
      : []),
  ];
  return {
    description: `a ${framework ?? "Python"} program (${[...mains.slice(0, 1), ...manifests].join(", ")})`,
    service:
      argv === null
        ? null
        : sourceService(place, { image: "python:3.12-slim", argv, ...(install === undefined ? {} : { install }) }),
    assumptions: argv === null ? [] : assumptions,
    needs: needsOf(all),
  };
}

const nodeInstall = ({ at }: Place): string => `{ kind: node, manifest: ${json(inside(at, "package.json"))} }`;

function nodeProgram(place: Place): Detected | null {
  const { folder, at, names } = place;
  if (!names.has("package.json")) return null;
  const text = folder.text(inside(at, "package.json"));
  const framework = ["next", "nuxt", "astro", "vite", "express", "fastify"].find((name) => text.includes(`"${name}"`));
  const named =
    framework === undefined
      ? "a Node project"
      : `${/^[aeiou]/.test(framework) ? "an" : "a"} ${framework.charAt(0).toUpperCase()}${framework.slice(1)} project`;
  const script = ["dev", "start"].find((name) => new RegExp(`"${name}"\\s*:`).test(text));
  const flags = framework === "vite" || framework === "astro" ? ["--", "--host", "{host}", "--port", "{port}"] : [];
  const argv = script === undefined ? null : ["npm", "run", script, ...flags];
  return {
    description: `${named} (package.json)`,
    service:
      argv === null
        ? null
        : sourceService(place, {
            image: "node:20-alpine",
            argv,
            install: nodeInstall(place),
            ...(flags.length > 0 ? {} : { env: { PORT: String(PORT) } }),
          }),
    assumptions:
      argv === null || flags.length > 0 ? [] : [`npm run ${script} in ${at === "" ? "." : at} listens on $PORT.`],
    needs: needsOf(text),
  };
}

function goProgram(place: Place): Detected | null {
  const { folder, at, names } = place;
  if (!names.has("go.mod")) return null;
  const commands = [...folder.names(inside(at, "cmd"))].sort();
  const main = names.has("main.go") ? "." : commands[0] === undefined ? null : `./cmd/${commands[0]}`;
  return {
    description: "a Go program (go.mod)",
    service:
      main === null
        ? null
        : sourceService(place, { image: "golang:1.24", argv: ["go", "run", main], env: { PORT: String(PORT) } }),
    assumptions: main === null ? [] : [`go run ${main} in ${at === "" ? "." : at} listens on $PORT.`],
    needs: needsOf(folder.text(inside(at, "go.mod"))),
  };
}

/** The ports of EXPOSE; the usual port when there is none. */
function dockerProgram({ folder, at, names }: Place): Detected | null {
  if (!names.has("Dockerfile")) return null;
  const exposed = [...folder.text(inside(at, "Dockerfile")).matchAll(/^[ \t]*EXPOSE[ \t]+(\d{1,5})/gim)].map(
    ([, port]) => Number(port),
  );
  return {
    description: "a Dockerfile",
    service: builtService(at, exposed.length > 0 ? [...new Set(exposed)] : [PORT]),
    assumptions:
      exposed.length > 0 ? [] : [`The image of ${inside(at, "Dockerfile")} listens on port ${PORT}: it has no EXPOSE.`],
    needs: [],
  };
}

function programIn(place: Place): Detected | null {
  const source = pythonProgram(place) ?? nodeProgram(place) ?? goProgram(place);
  const built = dockerProgram(place);
  // The project's own Dockerfile says more than a guess from manifests.
  if (built !== null && place.at !== "") return { ...built, needs: source?.needs ?? [] };
  if (source !== null && (source.service !== null || built === null)) return source;
  if (built !== null) return { ...built, description: source?.description ?? built.description };
  const other = Object.entries(OTHERS).find(([name]) => place.names.has(name));
  return other === undefined
    ? null
    : { description: `${other[1]} (${other[0]})`, service: null, assumptions: [], needs: [] };
}

const PROCESS = /^([A-Za-z][A-Za-z0-9_-]{0,62}):\s*(\S.*)$/;

/** One service for each process of a Procfile, except `release`. */
function procfilePrograms(place: Place): Program[] {
  if (!place.names.has("Procfile")) return [];
  const { folder, at, names } = place;
  const lines = folder.text(inside(at, "Procfile")).split("\n");
  const processes = lines.flatMap((line) => {
    const [, name, command] = PROCESS.exec(line.trim()) ?? [];
    return name === undefined || command === undefined ? [] : [{ name, command }];
  });
  const node = names.has("package.json");
  const python = PYTHON_MANIFESTS.some((name) => names.has(name));
  const install = node ? nodeInstall(place) : pythonInstall(place);
  const image = node ? "node:20-alpine" : python ? "python:3.12-slim" : "debian:stable-slim";
  const manifests = ["package.json", ...PYTHON_MANIFESTS, "Gemfile", "go.mod"];
  const needs = needsOf(manifests.map((name) => (names.has(name) ? folder.text(inside(at, name)) : "")).join("\n"));
  return processes
    .filter(({ name }) => name !== "release")
    .slice(0, MOST_PROGRAMS)
    .map(({ name, command }) => ({
      name,
      at,
      description: `the process ${name} (${inside(at, "Procfile")})`,
      service: sourceService(place, {
        image,
        argv: ["sh", "-c", command],
        port: name === "web",
        ...(install === undefined ? {} : { install }),
        ...(name === "web" ? { env: { PORT: String(PORT) } } : {}),
      }),
      assumptions: [
        ...(name === "web" ? ["The process web of the Procfile listens on $PORT."] : []),
        ...(processes.some((one) => one.name === "release")
          ? ["The process release of the Procfile is left out."]
          : []),
      ],
      needs,
    }));
}

/** Folders of workspaces: of `package.json` and `pnpm-workspace.yaml`. */
function workspaceFolders(root: ProjectFolder): string[] {
  const globs: string[] = [];
  try {
    const { workspaces } = JSON.parse(root.text("package.json") || "{}") as { workspaces?: unknown };
    const listed = Array.isArray(workspaces)
      ? workspaces
      : (workspaces as { packages?: unknown } | undefined)?.packages;
    if (Array.isArray(listed)) globs.push(...listed.filter((one) => typeof one === "string"));
  } catch {
    // Not JSON: no workspaces.
  }
  for (const [, glob = ""] of root.text("pnpm-workspace.yaml").matchAll(/^[ \t]*-[ \t]*["']?([^"'\s#]+)["']?/gm))
    globs.push(glob);
  return globs
    .filter((glob) => !glob.startsWith("!") && !glob.includes(".."))
    .flatMap((glob) => {
      const plain = glob.replace(/^\.\//, "").replace(/\/+$/, "");
      const parent = /^([^*]+)\/\*{1,2}$/.exec(plain)?.[1];
      if (parent === undefined) return plain.includes("*") ? [] : [plain];
      return [...root.names(parent)].sort().map((name) => `${parent}/${name}`);
    });
}

const serviceName = (at: string): string =>
  basename(at)
    .replace(/[^a-zA-Z0-9._-]/g, "-")
    .replace(/^[^a-zA-Z0-9]+/, "") || "app";

function findPrograms(root: ProjectFolder, names: ReadonlySet<string>): Program[] {
  const top: Place = { folder: root, at: "", names };
  const processes = procfilePrograms(top);
  if (processes.length > 0) return processes;
  const workspaces = workspaceFolders(root);
  const parents = USUAL_PARENTS.flatMap((parent) => [...root.names(parent)].sort().map((name) => `${parent}/${name}`));
  const folders = [...new Set([...workspaces, ...USUAL_FOLDERS.filter((name) => names.has(name)), ...parents])]
    .filter((at) => root.isFolder(at))
    .slice(0, 2 * MOST_PROGRAMS);
  const nested: Program[] = [];
  for (const at of folders) {
    const program = programIn({ folder: root, at, names: root.names(at) });
    // A library of a workspace has nothing to run.
    if (program === null || (program.service === null && workspaces.includes(at))) continue;
    const name = serviceName(at);
    nested.push({ ...program, at, name: nested.some((one) => one.name === name) ? at.replaceAll("/", "-") : name });
  }
  const own = programIn(top);
  // The manifest of a workspace's root starts all its packages.
  if (own === null || (nested.some(({ service }) => service !== null) && workspaces.length > 0))
    return nested.slice(0, MOST_PROGRAMS);
  return [{ ...own, at: "", name: "app" }, ...nested.filter(({ name }) => name !== "app")].slice(0, MOST_PROGRAMS);
}

/** @param path absolute, real path of the project's folder */
export function analyseFolder(path: string): FolderAnalysis {
  const root = new ProjectFolder(path);
  const names = root.names("");
  return {
    composeFiles: [...names].filter((name) => COMPOSE.test(name)).sort(),
    otherComposeFiles: [...names].filter((name) => OTHER_COMPOSE.test(name)).sort(),
    programs: findPrograms(root, names),
  };
}

/** A variable of the compose file. */
const PASSWORD = "$".concat("{POSTGRES_PASSWORD}");
const DATABASE_SERVICES: Readonly<Record<Database, readonly string[]>> = {
  postgres: [
    "image: postgres:15-alpine",
    'user: "70"',
    `environment: { POSTGRES_USER: app, POSTGRES_DB: app, POSTGRES_PASSWORD: "${PASSWORD}" }`,
    'ports: ["5432"]',
    'volumes: ["postgres-data:/var/lib/postgresql/data"]',
    "healthcheck: { test: [CMD, pg_isready, -U, app], interval: 5s, start_period: 60s, start_interval: 500ms, x-probe: { type: postgres } }",
  ],
  redis: [
    "image: redis:7-alpine",
    'user: "999"',
    'ports: ["6379"]',
    'volumes: ["redis-data:/data"]',
    "healthcheck: { test: [CMD, redis-cli, ping], interval: 5s, start_period: 30s, start_interval: 500ms, x-probe: { type: redis } }",
  ],
};
const DATABASE_URLS: Readonly<Record<Database, [name: string, url: string]>> = {
  postgres: ["DATABASE_URL", `postgresql://app:${PASSWORD}@postgres:5432/app`],
  redis: ["REDIS_URL", "redis://redis:6379/0"],
};

/** Adds the addresses of its databases to a service, and starts them first. */
function withDatabases(service: readonly string[], needs: readonly Database[]): string[] {
  if (needs.length === 0) return [...service];
  const added = Object.fromEntries(needs.map((name) => DATABASE_URLS[name]));
  const prefix = "environment: ";
  const own = service.find((line) => line.startsWith(prefix));
  const environment = { ...(own === undefined ? {} : (JSON.parse(own.slice(prefix.length)) as object)), ...added };
  const lines = service.filter((line) => line !== own);
  const at = lines.indexOf("x-local:");
  lines.splice(
    at < 0 ? lines.length : at,
    0,
    `${prefix}${json(environment)}`,
    `depends_on: { ${needs.map((name) => `${name}: { condition: service_healthy }`).join(", ")} }`,
  );
  return lines;
}

export interface SuggestedCompose {
  text: string;
  assumptions: string[];
}

/**
 * The compose file that runs what the folder holds and that no compose file with a usual name runs.
 * @returns null when there is nothing to add or nothing can be derived
 */
export function suggestedCompose({
  composeFiles,
  otherComposeFiles,
  programs,
}: FolderAnalysis): SuggestedCompose | null {
  if (composeFiles.length > 0) return null;
  const [other] = otherComposeFiles;
  if (other !== undefined)
    return {
      text: `include:\n  - ${json(other)}\n`,
      assumptions: [
        `${other} describes the stack.`,
        ...otherComposeFiles.slice(1).map((file) => `${file} is not used.`),
      ],
    };
  const runnable = programs.filter((program) => program.service !== null);
  if (runnable.length === 0) return null;
  const databases = [...new Set(runnable.flatMap(({ needs }) => needs))].sort();
  const services = [
    ...databases.map((name): [string, readonly string[]] => [name, DATABASE_SERVICES[name]]),
    ...runnable.map((program): [string, readonly string[]] => [
      databases.includes(program.name as Database) ? `${program.name}-app` : program.name,
      withDatabases(program.service as readonly string[], program.needs),
    ]),
  ];
  const sections = [
    "services:",
    ...services.flatMap(([name, lines]) => [`  ${name}:`, ...lines.map((line) => `    ${line}`)]),
    ...(databases.length === 0 ? [] : ["volumes:", ...databases.map((name) => `  ${name}-data: {}`)]),
    ...(databases.includes("postgres")
      ? ["secrets:", "  postgres-password: { environment: POSTGRES_PASSWORD, x-generate: true }"]
      : []),
  ];
  return {
    text: `${sections.join("\n")}\n`,
    assumptions: [
      ...new Set([
        ...runnable.flatMap(({ assumptions }) => assumptions),
        ...databases.map((name) => `The programs that need ${name} read ${DATABASE_URLS[name][0]}.`),
        ...programs
          .filter(({ service }) => service === null)
          .map(
            ({ at, description }) =>
              `${at === "" ? "." : at} holds ${description}; its command is not known, so it is left out.`,
          ),
      ]),
    ],
  };
}
