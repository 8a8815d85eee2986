/** Finds what a service's instance is made from: the folders and files whose change makes a running instance stale. */
import { resolve } from "node:path";
import { isBeneath } from "../../system/is-beneath.js";
import { readRegularText, UnsafePathError } from "../../system/read-regular-file.js";
import { RUNTIME_TRAITS, type RuntimeName } from "../vocabulary.js";
import { parseImageName } from "./image-name.js";
import type { ServiceDefinition } from "./types.js";

export interface SourcePath {
  /** Absolute, below the project's folder. */
  path: string;
  /** The path is a build context: its `.dockerignore` applies. */
  buildContext?: true;
  /** The running instance uses these files themselves, not a copy of them. */
  live: boolean;
  /** A change needs a new instance even when the service reloads changed files. */
  always?: true;
  /** Its manifests decide what the image has: for them `always` applies. */
  installs?: true;
}

const MANIFEST =
  /(?:^|\/)(?:Dockerfile|requirements[\w.-]*\.txt|constraints\.txt|pyproject\.toml|(?:poetry|uv|yarn|bun)\.lock|bun\.lockb|Pipfile(?:\.lock)?|package(?:-lock)?\.json|npm-shrinkwrap\.json|pnpm-lock\.yaml|go\.(?:mod|sum)|Gemfile(?:\.lock)?|composer\.(?:json|lock)|Cargo\.(?:toml|lock))$/;

/** True for a file that decides what an installation brings into the image. */
export const isManifest = (path: string): boolean => MANIFEST.test(path);

/** Official images whose writable folders hold data. */
const DATA_IMAGES = new Set(
  "postgres redis valkey/valkey mysql mariadb mongo rabbitmq memcached elasticsearch influxdb nats minio/minio".split(
    " ",
  ),
);

export const holdsData = (image: string | undefined): boolean =>
  image !== undefined && DATA_IMAGES.has(parseImageName(image).path);

/** Paths of a service's sources. Empty for a server that stackwarden provides, or that runs from an image alone. */
export function sourcePaths(service: ServiceDefinition, folder: string, runtime: RuntimeName): SourcePath[] {
  const { local, build, mounts, image } = service;
  const { images, liveBinds } = RUNTIME_TRAITS[runtime];
  const paths: SourcePath[] = [];
  if (!images) {
    if (local?.provider !== undefined) return [];
    if (local?.command !== undefined || local?.workingDir !== undefined)
      paths.push({ path: local.workingDir ?? folder, live: true });
    else if (build !== undefined) paths.push({ path: build.context, buildContext: true, live: true, installs: true });
    if (local?.install !== undefined) paths.push({ path: local.install.manifest, live: false, always: true });
  } else if (build !== undefined) {
    paths.push({ path: build.context, buildContext: true, live: false });
    if (build.dockerfile !== undefined) paths.push({ path: resolve(build.context, build.dockerfile), live: false });
    for (const context of Object.values(build.additionalContexts ?? {}))
      if (context.startsWith("/")) paths.push({ path: context, live: false });
  }
  const data = build === undefined && holdsData(image);
  for (const mount of mounts) {
    if (mount.type !== "bind" || mount.outside === true || (data && !mount.readOnly)) continue;
    paths.push({ path: mount.source, live: liveBinds, ...(mount.source === build?.context ? { installs: true } : {}) });
  }
  const unique = new Map(paths.filter(({ path }) => isBeneath(folder, path)).map((one) => [one.path, one]));
  return [...unique.values()];
}

const RELOADS =
  /(?:^|\s)(?:--reload|--watch(?:-path)?(?:=\S+)?|nodemon|vite|next\s+dev|nuxt\s+dev|nuxi\s+dev|astro\s+dev|webpack(?:-dev-server|\s+serve)|ng\s+serve|tsx\s+watch|ts-node-dev|watchexec|watchmedo|(?:\S*\/)?air|fastapi\s+dev|manage\.py\s+runserver|--debug(?=\s|$))(?=\s|$)/;
/** These prevent what RELOADS matches. */
const STAYS = /(?:^|\s)(?:--noreload|--no-reload|vite\s+(?:build|preview))(?=\s|$)/;
/** Programs that run Flask's development server, which reloads with FLASK_DEBUG=1. Other servers ignore the variable. */
const FLASK = /(?:^|[\s/])(?:flask|python[\d.]*)(?=\s|$)/;
const OTHER_SERVERS = /(?:^|[\s/])(?:gunicorn|uwsgi|waitress(?:-serve)?|uvicorn|hypercorn|daphne|celery)(?=\s|$)/;
const SCRIPT = /(?:^|\s)(?:npm|pnpm|yarn|bun)\s+(?:run\s+|run-script\s+)?([\w:.-]+)/;
const MANIFEST_LIMIT = 262_144;

/** The text of a package.json script that the command runs, else nothing. */
function scriptText(command: string, workingDir: string, folder: string): string {
  const name = SCRIPT.exec(command)?.[1];
  if (name === undefined) return "";
  try {
    const text = readRegularText(`${workingDir}/package.json`, { within: folder, maxBytes: MANIFEST_LIMIT });
    const { scripts } = JSON.parse(text ?? "{}") as { scripts?: Record<string, unknown> };
    const script = scripts?.[name];
    return typeof script === "string" ? script : "";
  } catch (error) {
    if (error instanceof UnsafePathError || error instanceof SyntaxError) return "";
    throw error;
  }
}

/** Official images of servers that read a file again for each request. */
const FILE_SERVERS = new Set(["nginx", "nginxinc/nginx-unprivileged", "httpd", "caddy", "php"]);
/** Files that also these servers read only when they start. */
const CONFIGURATION = /\.(?:conf|cfg|ini|toml|ya?ml|json|pem|crt|key)$|(?:^|\/)(?:Caddyfile|nginx\.conf\.template)$/;

/** True when the service's server reads this file for each request, so that a change is visible at once. */
export const readsAtRequest = ({ image, build }: ServiceDefinition, path: string): boolean =>
  build === undefined &&
  image !== undefined &&
  FILE_SERVERS.has(parseImageName(image).path) &&
  !CONFIGURATION.test(path);

/**
 * True when the service's command reloads changed files without a restart: a development server with a watcher.
 * @param running the command line of the running instance, when it is known
 */
export function reloadsItself(
  service: ServiceDefinition,
  folder: string,
  runtime: RuntimeName,
  running?: readonly string[],
): boolean {
  const { local, build, entrypoint = [], command = [], mounts, environment } = service;
  const { images } = RUNTIME_TRAITS[runtime];
  const declared = !images && local?.command !== undefined ? local.command : [...entrypoint, ...command];
  const text = (declared.length > 0 ? declared : (running ?? [])).join(" ");
  const bind = mounts.find((mount) => mount.type === "bind" && mount.target === service.workingDir);
  const source = build?.context ?? folder;
  const workingDir = images && bind?.type === "bind" ? bind.source : (local?.workingDir ?? source);
  const all = `${text} ${isBeneath(folder, workingDir) ? scriptText(text, workingDir, folder) : ""}`;
  if (STAYS.test(all)) return false;
  const isFlask = text === "" || (FLASK.test(all) && !OTHER_SERVERS.test(all));
  return RELOADS.test(all) || (environment.FLASK_DEBUG === "1" && isFlask);
}
