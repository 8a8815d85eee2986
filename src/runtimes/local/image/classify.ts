/** What a command of a Dockerfile or of a service's start script means without a container. */
import { shellWords } from "../providers/shell-words.js";

export type NodeTool = "npm" | "pnpm" | "yarn" | "bun";
export type PythonTool = "pip" | "uv" | "poetry" | "pipenv";

/** An installation of dependencies that the local runtime carries out with its own cache. */
export type Installation =
  | { language: "node"; tool: NodeTool; frozen: boolean; omitDev: boolean }
  | {
      language: "python";
      tool: PythonTool;
      /** Requirements files as written. */
      requirements: string[];
      /** Packages by name, and `.` for the project. */
      packages: string[];
      /** Groups, extras and other options that decide what is installed. */
      options: string[];
    };

export type Meaning =
  | { kind: "install"; installation: Installation }
  /** Nothing to do without a container. */
  | { kind: "nothing" }
  /** Changes the working directory of the following commands. */
  | { kind: "directory"; to: string }
  /** Packages of a Linux distribution. */
  | { kind: "packages"; packages: string[] }
  /** Programs that the client's machine must have. */
  | { kind: "tools"; names: string[] }
  | { kind: "command" };

const COMMAND: Meaning = { kind: "command" };
const NOTHING: Meaning = { kind: "nothing" };

/** Commands that prepare a container's own file system, users and caches. */
const OF_A_CONTAINER = new Set(
  "adduser addgroup useradd groupadd usermod deluser chown chgrp chmod mkdir rm ln touch set export update-ca-certificates ldconfig locale-gen dpkg-reconfigure true : echo sync apt-mark id".split(
    " ",
  ),
);

const NODE_TOOLS: readonly string[] = ["npm", "pnpm", "yarn", "bun"];
const INSTALLABLE = /^(npm|pnpm|yarn|bun|corepack|turbo|uv|poetry|pipenv|pdm|pip|setuptools|wheel)(?:[@=<>~!].*)?$/;
const NO_DEV = /^(--production|--prod|-P|--only=prod(uction)?|--omit=dev)$/;

function node(tool: NodeTool, words: readonly string[]): Meaning {
  const rest = words
    .slice(1)
    .filter((word, at) => !(/^--(omit|only)$/.test(words[at] ?? "") && /^(dev|prod)/.test(word)));
  const verb = rest.find((word) => !word.startsWith("-"));
  const flags = rest.filter((word) => word.startsWith("-"));
  const isGlobal = flags.some((flag) => flag === "-g" || flag === "--global") || (tool === "yarn" && verb === "global");
  const named = rest.slice(rest.indexOf(verb ?? "") + 1).filter((word) => !word.startsWith("-"));
  if (isGlobal) {
    const tools = named.filter((word) => word !== "add");
    return verb === "install" || verb === "i" || verb === "add" || verb === "global"
      ? { kind: "tools", names: tools.map((one) => one.replace(/(.)@.*$/, "$1")) }
      : NOTHING;
  }
  if (
    ["cache", "config", "set", "store", "audit", "fund", "plugin"].includes(verb ?? "") ||
    (tool === "pnpm" && verb === "fetch")
  )
    return NOTHING;
  const installs =
    verb === "install" ||
    verb === "i" ||
    verb === "ci" ||
    verb === "clean-install" ||
    (tool === "yarn" && verb === undefined);
  if (!installs || named.length > 0) return COMMAND;
  const omitDev = flags.some((flag) => NO_DEV.test(flag)) || /--(?:omit|only)\s+(?:dev|prod)/.test(words.join(" "));
  const frozen = verb === "ci" || flags.some((flag) => /^--(frozen-lockfile|immutable)$/.test(flag));
  return { kind: "install", installation: { language: "node", tool, frozen, omitDev } };
}

/** Options of pip that take a value, which is not a package. */
const PIP_VALUE =
  /^(-r|--requirement|-c|--constraint|-i|--index-url|--extra-index-url|-f|--find-links|-t|--target|--prefix|--python|-p|--trusted-host|--timeout|--retries|--root-user-action|--cache-dir)$/;

function pip(tool: "pip" | "uv", words: readonly string[]): Meaning {
  const requirements: string[] = [];
  const packages: string[] = [];
  const options: string[] = [];
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at] as string;
    const file = /^(?:-r|--requirement=)(.+)$/.exec(word)?.[1];
    if (PIP_VALUE.test(word)) {
      const value = words[at + 1] ?? "";
      if (word === "-r" || word === "--requirement") requirements.push(value);
      else if (/index-url|find-links|-[if]$/.test(word)) options.push(word, value);
      at += 1;
    } else if (file !== undefined) requirements.push(file);
    else if (word === "-e" || word === "--editable") continue;
    else if (!word.startsWith("-")) packages.push(word);
  }
  if (requirements.length === 0 && packages.length > 0 && packages.every((one) => INSTALLABLE.test(one))) {
    const names = packages
      .map((one) => one.replace(/[@=<>~![].*$/, ""))
      .filter((one) => !/^(pip|setuptools|wheel)$/.test(one));
    return names.length === 0 ? NOTHING : { kind: "tools", names };
  }
  if (requirements.length === 0 && packages.length === 0) return NOTHING;
  return { kind: "install", installation: { language: "python", tool, requirements, packages, options } };
}

/** Options of uv and poetry that choose what is installed. */
const CHOICE =
  /^--(no-dev|only-dev|group|no-group|only-group|all-groups|extra|all-extras|with|without|only|no-root)(=.*)?$/;

function choices(words: readonly string[]): string[] {
  return words.flatMap((word, at) => {
    if (!CHOICE.test(word)) return [];
    const takesValue = !word.includes("=") && /^--(group|no-group|only-group|extra|with|without|only)$/.test(word);
    return takesValue ? [word, words[at + 1] ?? ""] : [word];
  });
}

const locked = (tool: PythonTool, words: readonly string[]): Meaning => ({
  kind: "install",
  installation: { language: "python", tool, requirements: [], packages: [], options: choices(words) },
});

function python(words: readonly string[]): Meaning | null {
  const [program = "", ...rest] = words;
  if (/^pip3?$/.test(program)) return rest[0] === "install" ? pip("pip", rest.slice(1)) : NOTHING;
  if (/^python3?$/.test(program) && rest[0] === "-m" && rest[1] === "pip")
    return rest[2] === "install" ? pip("pip", rest.slice(3)) : NOTHING;
  if (/^python3?$/.test(program) && rest[0] === "-m" && rest[1] === "venv") return NOTHING;
  if (program === "uv") {
    if (rest[0] === "sync") return locked("uv", rest);
    if (rest[0] === "pip" && rest[1] === "install") return pip("uv", rest.slice(2));
    return rest[0] === "venv" || rest[0] === "cache" || rest[0] === "python" ? NOTHING : COMMAND;
  }
  if (program === "poetry") {
    // The project itself stays where it is.
    if (rest.includes("--only-root")) return NOTHING;
    if (rest[0] === "install" || rest[0] === "sync") return locked("poetry", rest);
    return rest[0] === "config" || rest[0] === "cache" ? NOTHING : COMMAND;
  }
  if (program === "pipenv") return rest[0] === "install" || rest[0] === "sync" ? locked("pipenv", rest) : COMMAND;
  return null;
}

function packages(program: string, rest: readonly string[]): Meaning | null {
  const verbs: Record<string, readonly string[]> = {
    apt: ["install"],
    "apt-get": ["install"],
    apk: ["add"],
    yum: ["install"],
    dnf: ["install"],
    microdnf: ["install"],
  };
  if (verbs[program] === undefined) return null;
  if (!rest.some((word) => verbs[program]?.includes(word))) return NOTHING;
  const names = rest.filter(
    (word) => !word.startsWith("-") && !verbs[program]?.includes(word) && !/^\.\w+-deps$/.test(word),
  );
  return { kind: "packages", packages: names };
}

/** @param text one command, without `&&` and pipes */
export function meaningOf(text: string, environment: Record<string, string> = {}): Meaning {
  // Redirections do not change what a command means here.
  const [, first = ""] = /^\s*(?:[A-Za-z_]\w*=\S*\s+)*([\w:./-]+)/.exec(text) ?? [];
  if (OF_A_CONTAINER.has(first)) return NOTHING;
  const words = shellWords(text.replace(/(?<!\s)\s+(?:[12]?>{1,2}|2>&1|&>)\s*(?:\/dev\/null)?/g, " ").trim(), {
    environment,
  });
  if (words === null) return COMMAND;
  while (/^[A-Za-z_]\w*=/.test(words[0] ?? "")) words.shift();
  const [program = "", ...rest] = words;
  if (program === "cd") return { kind: "directory", to: rest[0] ?? "/" };
  if (program === "" || OF_A_CONTAINER.has(program)) return NOTHING;
  if (program === "corepack") return { kind: "tools", names: rest.slice(1).map((one) => one.replace(/(.)@.*$/, "$1")) };
  if (program === "go" && rest[0] === "mod" && rest[1] === "download") return NOTHING;
  if (NODE_TOOLS.includes(program)) return node(program as NodeTool, words);
  return python(words) ?? packages(program, rest) ?? COMMAND;
}

/** Programs of a language or a build that a RUN instruction may call in the project's folder. */
const BUILD_PROGRAM =
  /^(node|npm|npx|pnpm|pnpx|yarn|bun|bunx|deno|tsc|vite|next|nuxt|astro|prisma|turbo|nx|python3?|uv|poetry|pipenv|flask|django-admin|alembic|go|cargo|make|mvn|gradle|\.\/mvnw|\.\/gradlew|bundle|rake|rails|bin\/rails|php|composer|dotnet|mix|swift)$/;

/** Whether the local runtime runs this command of a Dockerfile. Others may change what lies outside of the project. */
export function isBuildCommand(text: string): boolean {
  const program = /^\s*(?:[A-Za-z_]\w*=\S*\s+)*(\S+)/.exec(text)?.[1] ?? "";
  return BUILD_PROGRAM.test(program);
}
