/** What an installation needs: files, program, and a key that is the same while its result would be. */
import { createHash } from "node:crypto";
import { dirname, join, relative, resolve } from "node:path";
import type { Readable } from "node:stream";
import { isBeneath } from "../../../system/is-beneath.js";
import { CONTEXT_LIMITS } from "../../shared/build-context.js";
import { type Installation, installFailed } from "../../shared/installation.js";
import { NODE_LOCKS, NPM_SETTINGS, readNodeManifest } from "../../shared/manifests/node.js";
import { readRequirements } from "../../shared/manifests/python.js";
import { CREATE_ENVIRONMENT, pipInstall } from "../../shared/virtual-environment.js";
import type { UserIds } from "../container/user-ids.js";
import { folderArchive } from "../image/context.js";

/** Folder inside the container. */
export const DEPENDENCIES = "/.stackwarden/deps";
const MANIFEST = "/.stackwarden/manifest";
const SETTINGS = "/.stackwarden/npmrc";
/** A copy of the project, for requirements that include packages of the project. */
const SOURCES = `${DEPENDENCIES}/.project/`;
const LEFT_OUT = new Set([".git", "node_modules", ".venv", "venv", "__pycache__"]);

export interface InstallFile {
  /** Absolute path inside the container. */
  path: string;
  content: string;
  mode?: number;
}

export interface InstallPlan {
  /** Name for reports. */
  what: string;
  /** Where the volume is mounted during the installation. */
  at: string;
  files: InstallFile[];
  /** A copy of the project's folder; absent when the installation does not read it. */
  sources?(owner: UserIds): Readable;
  command: string[];
  environment: Record<string, string>;
  warning?: string;
  /** Everything besides image and user on which the result depends. */
  key: string;
  service: {
    /** Where the volume is mounted in the service. */
    target: string;
    readOnly: boolean;
    environment(path: string): Record<string, string>;
  };
}

export interface PlanOptions {
  service: string;
  /** The project's folder. */
  folder: string;
  /** Absolute paths of files that are never copied. */
  exclude: readonly string[];
}

const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

const hash = (...parts: unknown[]): string => createHash("sha256").update(JSON.stringify(parts)).digest("hex");

async function hashOf(stream: Readable): Promise<string> {
  const sum = createHash("sha256");
  for await (const chunk of stream) sum.update(chunk as Buffer);
  return sum.digest("hex");
}

const PIP = [...pipInstall(true), "-r"];
/** Its first two arguments: program that creates the environment, and pip's working directory for relative paths. */
const PIP_SCRIPT = `python3 -I -c "$1" ${DEPENDENCIES}; cd "$2"; shift 2; exec ${DEPENDENCIES}/bin/python "$@"`;

async function python({ folder, exclude }: PlanOptions, manifest: string): Promise<InstallPlan | null> {
  const { files, usesSources, empty } = readRequirements(manifest, folder);
  if (empty) return null;
  const sources = (owner?: UserIds): Readable =>
    folderArchive({
      root: folder,
      within: folder,
      exclude,
      ignores: (path) => path.split("/").some((name) => LEFT_OUT.has(name)),
      prefix: SOURCES.slice(1),
      ...(owner === undefined ? {} : { owner }),
      limits: CONTEXT_LIMITS,
      hint: "Move what the service does not need out of the project's folder.",
    });
  const requirements = join(usesSources ? SOURCES : MANIFEST, relative(folder, manifest));
  return {
    what: "pip install",
    at: DEPENDENCIES,
    files: usesSources
      ? []
      : files.map(({ path, text }) => ({ path: join(MANIFEST, relative(folder, path)), content: text })),
    ...(usesSources ? { sources } : {}),
    command: ["/bin/sh", "-ec", PIP_SCRIPT, "sh", CREATE_ENVIRONMENT, dirname(requirements), ...PIP, requirements],
    environment: {},
    key: hash("python", manifest, files, usesSources ? await hashOf(sources()) : null),
    service: {
      target: DEPENDENCIES,
      readOnly: true,
      environment: (path) => ({
        VIRTUAL_ENV: DEPENDENCIES,
        PATH: `${DEPENDENCIES}/bin:${path || DEFAULT_PATH}`,
        PYTHONUNBUFFERED: "1",
        PYTHONDONTWRITEBYTECODE: "1",
      }),
    },
  };
}

function node({ service, folder }: PlanOptions, manifest: string): InstallPlan | null {
  const { files, ownScripts, withoutScripts, empty, locked } = readNodeManifest(manifest, folder);
  if (empty) return null;
  const settings = files.find(([name]) => name === NPM_SETTINGS)?.[1];
  const read = files
    .filter(([name]) => name === "package.json" || NODE_LOCKS.includes(name))
    .map(([name, text]) => ({
      path: `${DEPENDENCIES}/${name}`,
      content: name === "package.json" && ownScripts.length > 0 ? withoutScripts : text,
    }));
  const command = locked ? "ci" : "install";
  return {
    what: `npm ${command}`,
    at: `${DEPENDENCIES}/node_modules`,
    // Settings can contain credentials: they stay outside of the volume.
    files: settings === undefined ? read : [...read, { path: SETTINGS, content: settings, mode: 0o400 }],
    command: ["npm", command, "--prefix", DEPENDENCIES, "--no-audit", "--no-fund", "--no-update-notifier"],
    environment: settings === undefined ? {} : { npm_config_userconfig: SETTINGS },
    ...(ownScripts.length === 0
      ? {}
      : {
          warning: `${service}: its own scripts ${ownScripts.join(", ")} were not run: dependencies are installed away from the sources.`,
        }),
    key: hash("node", files),
    // Node.js and npm search the folders above the program too. There the volume needs no folder in the project.
    service: { target: "/node_modules", readOnly: false, environment: () => ({}) },
  };
}

/**
 * @returns null when there is nothing to install
 * @throws DEPENDENCY_INSTALL_FAILED, UNSUPPORTED
 */
export async function installPlan(options: PlanOptions, install: Installation): Promise<InstallPlan | null> {
  const manifest = resolve(options.folder, install.manifest);
  if (!isBeneath(options.folder, manifest)) throw installFailed(`${manifest} is outside the project's folder.`);
  return install.kind === "python" ? python(options, manifest) : node(options, manifest);
}
