/**
 * Detects a program in a folder without a compose file. Such a folder gets the built-in stack, which would not run the
 * program. Programs are recognised by their manifests; a compose file for the program is suggested where possible.
 */
import { StackwardenError } from "../../errors.js";
import { callTo, hint } from "../../hint.js";
import { listBeneath } from "../../system/list-beneath.js";
import { readRegularText } from "../../system/read-regular-file.js";
import type { StackDefinition } from "./types.js";

export interface OwnProgram {
  /** `a FastAPI program (main.py, requirements.txt)`. */
  description: string;
  /** A suggested compose file; null when the command cannot be derived. */
  compose: string | null;
}

const LARGEST = 262_144;
const MOST_NAMES = 2_000;
/** Compose files with a name that Compose does not look for. */
const OTHER_COMPOSE = /^(?:docker-)?compose[.-].+\.ya?ml$/;
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

function textOf(folder: string, name: string): string {
  try {
    return readRegularText(`${folder}/${name}`, { within: folder, maxBytes: LARGEST }) ?? "";
  } catch {
    // The file is too large, or a link outside the folder. Detection ignores its contents.
    return "";
  }
}

const service = (lines: readonly string[]): string =>
  ["services:", "  app:", ...lines.map((line) => `    ${line}`), ""].join("\n");

function pythonCommand(framework: string, main: string): string[] | null {
  const module = main.replace(/\.py$/, "").replaceAll("/", ".");
  if (framework === "FastAPI")
    return ["python", "-m", "uvicorn", `${module}:app`, "--host", "{host}", "--port", "{port}"];
  if (framework === "Flask")
    return ["python", "-m", "flask", "--app", module, "run", "--host", "{host}", "--port", "{port}"];
  if (framework === "Django") return ["python", "manage.py", "runserver", "{host}:{port}"];
  return null;
}

const inContainer = (argv: readonly string[]): string[] =>
  argv.map((word) => word.replaceAll("{host}", "0.0.0.0").replaceAll("{port}", "8000"));

function pythonProgram(folder: string, names: ReadonlySet<string>): OwnProgram | null {
  const manifests = PYTHON_MANIFESTS.filter((name) => names.has(name));
  const mains = PYTHON_MAINS.filter((name) => textOf(folder, name) !== "");
  if (manifests.length === 0 && mains.length === 0) return null;
  const text = [...manifests, ...mains].map((name) => textOf(folder, name)).join("\n");
  const framework = ["FastAPI", "Django", "Flask"].find((name) => new RegExp(`\\b${name}\\b`, "i").test(text));
  const [main = "main.py"] = mains;
  const argv = framework === undefined ? null : pythonCommand(framework, main);
  const install = names.has("requirements.txt") ? ["  install: { kind: python, manifest: requirements.txt }"] : [];
  return {
    description: `a ${framework ?? "Python"} program (${[...mains.slice(0, 1), ...manifests].join(", ")})`,
    compose:
      argv === null
        ? null
        : service([
            "image: python:3.12-slim",
            'ports: ["8000"]',
            `command: ${JSON.stringify(inContainer(argv))}`,
            "x-local:",
            ...install,
            `  command: ${JSON.stringify(argv)}`,
          ]),
  };
}

function nodeProgram(folder: string, names: ReadonlySet<string>): OwnProgram | null {
  if (!names.has("package.json")) return null;
  const text = textOf(folder, "package.json");
  const framework = ["next", "nuxt", "astro", "vite", "express", "fastify"].find((name) => text.includes(`"${name}"`));
  const named =
    framework === undefined ? "a Node project" : `a ${framework.charAt(0).toUpperCase()}${framework.slice(1)} project`;
  const script = ["dev", "start"].find((name) => new RegExp(`"${name}"\\s*:`).test(text));
  const flags = framework === "vite" || framework === "astro" ? ["--", "--host", "{host}", "--port", "{port}"] : [];
  const argv = script === undefined ? null : ["npm", "run", script, ...flags];
  return {
    description: `${named} (package.json)`,
    compose:
      argv === null
        ? null
        : service([
            "image: node:20-alpine",
            'ports: ["8000"]',
            ...(flags.length > 0 ? [] : ['environment: { PORT: "8000" }']),
            `command: ${JSON.stringify(inContainer(argv))}`,
            "x-local:",
            "  install: { kind: node, manifest: package.json }",
            `  command: ${JSON.stringify(argv)}`,
          ]),
  };
}

/** @returns null when the folder has neither a recognised program nor a compose file with another name */
export function ownProgram(folder: string): (OwnProgram & { composeFiles: string[] }) | null {
  const names = new Set(listBeneath(folder, folder, MOST_NAMES));
  const composeFiles = [...names].filter((name) => OTHER_COMPOSE.test(name)).sort();
  const other = Object.entries(OTHERS).find(([name]) => names.has(name));
  const program =
    pythonProgram(folder, names) ??
    nodeProgram(folder, names) ??
    (other === undefined ? null : { description: `${other[1]} (${other[0]})`, compose: null }) ??
    (names.has("Dockerfile")
      ? { description: "a Dockerfile", compose: service(["build: .", 'ports: ["8000"]']) }
      : null);
  if (program === null && composeFiles.length === 0) return null;
  return { description: program?.description ?? "no program", compose: program?.compose ?? null, composeFiles };
}

/**
 * Refuses the built-in stack for a folder that it does not fit. The built-in stack runs `backend/` and `frontend/`. A
 * folder that has neither, but has a program or a compose file with another name, needs its own stack.
 * @throws INVALID_STACK with the program or compose file found and a way to run it
 */
export function refuseLeftOut(definition: StackDefinition, folder: string): void {
  if (!definition.source.startsWith("built-in:")) return;
  if (Object.values(definition.services).some(({ local }) => local?.workingDir !== undefined)) return;
  const program = ownProgram(folder);
  if (program === null) return;
  const { composeFiles, compose, description } = program;
  const [file] = composeFiles;
  const parts = [
    ...(file === undefined
      ? []
      : [`the compose file ${composeFiles.join(", ")}, which has another name than Compose looks for`]),
    ...(description === "no program" ? [] : [description]),
  ];
  throw new StackwardenError(
    "INVALID_STACK",
    `${folder} has no compose.yaml. It holds ${parts.join(" and ")}; the built-in stack would start postgres and redis and leave that out.`,
    {
      hint:
        file !== undefined
          ? hint`Start with it: ${callTo("start_stack", { files: [file] })}; or copy it to compose.yaml.`
          : compose === null
            ? "Write compose.yaml with a service that runs it (`image` or `build`, `ports`, and for the local runtime `x-local.command`), then start again."
            : "Write compose.yaml as in details.compose, correct the command where needed, then start again.",
      details: {
        program: description,
        compose_files: composeFiles,
        ...(compose === null ? {} : { compose }),
      },
    },
  );
}
